"""Installed plugins: loaded through entry points, broken ones recorded, and what the environment says."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from plugin_records import by_name

from toolkit.errors import ConfigurationError, PluginError
from toolkit.host.catalog import Catalog
from toolkit.host.discovery import installed_plugins
from toolkit.host.kinds import MERGE_STRATEGIES, RUN_LISTENERS
from toolkit.host.manager import load_plugins

PLUGINS = Path(__file__).parents[1] / "data" / "plugins"
BUILTIN = {"cnn", "emnist", "folders", "glyphs", "journal", "keras", "onnx", "soups", "tf2onnx"}


@pytest.fixture
def third_party(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts distributions of tests/data/plugins on the path."""

    def add(*names: str) -> None:
        for name in names:
            monkeypatch.syspath_prepend(PLUGINS / name)

    return add


def test_the_built_in_plugins_load_through_entry_points() -> None:
    records = by_name(load_plugins({}))
    assert set(records) >= BUILTIN
    assert {records[name].state for name in BUILTIN} == {"loaded"}, records
    assert {records[name].distribution for name in BUILTIN} == {"modelops-toolkit"}


def test_entry_points_are_sorted_and_each_comes_once(third_party: Callable[..., None]) -> None:
    third_party("good")
    names = [installed.entry_point.name for installed in installed_plugins()]
    assert names == sorted(names)
    assert names.count("good") == 1
    # The same distribution once more, further down the path.
    sys.path.append(str(PLUGINS / "good"))
    assert [installed.entry_point.name for installed in installed_plugins()] == names


def test_a_plugin_that_cannot_be_imported_is_recorded(third_party: Callable[..., None]) -> None:
    third_party("broken-import", "good")
    records = by_name(load_plugins({}))
    broken = records["broken"]
    assert (broken.state, broken.distribution, broken.version) == ("broken", "broken-import", "0.3")
    assert broken.cause == "import failed: ModuleNotFoundError: No module named 'a_package_that_nobody_has'"
    assert "import a_package_that_nobody_has" in broken.traceback
    assert records["good"].state == "loaded"
    assert records["soups"].state == "loaded"


def test_a_misspelt_hook_disables_the_whole_plugin(third_party: Callable[..., None]) -> None:
    third_party("misspelt-hook")
    manager = load_plugins({})
    record = by_name(manager)["misspelt"]
    assert record.state == "broken"
    assert record.cause == "unknown hook toolkit_exportes; did you mean toolkit_exporters?"
    listeners = {contribution.name for contribution in manager.contributions(RUN_LISTENERS)}
    assert "listens-well" not in listeners
    assert "journal" in listeners


@pytest.mark.parametrize("error", [SystemExit(3), RuntimeError("no"), ImportError("no"), SyntaxError("no")])
def test_whatever_an_import_raises_stays_inside(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"toolkit_raises_{type(error).__name__.lower()}"
    (tmp_path / f"{name}.py").write_text(f"raise {type(error).__name__}('no')\n")
    information = tmp_path / "raises-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: raises\nVersion: 1\n")
    (information / "entry_points.txt").write_text(f"[toolkit]\nraises = {name}\n")
    monkeypatch.syspath_prepend(tmp_path)
    record = by_name(load_plugins({}))["raises"]
    assert record.state == "broken"
    assert record.cause == f"import failed: {type(error).__name__}: no"


def test_the_allow_list_loads_nothing_else(third_party: Callable[..., None]) -> None:
    third_party("good")
    records = by_name(load_plugins({"TOOLKIT_LOAD_PLUGINS": "soups, toolkit-good:good"}))
    assert {name for name, record in records.items() if record.state == "loaded"} == {"soups", "good"}
    assert records["cnn"].state == "disabled"
    assert records["cnn"].cause == "not listed in TOOLKIT_LOAD_PLUGINS"


def test_an_empty_allow_list_loads_nothing() -> None:
    records = by_name(load_plugins({"TOOLKIT_LOAD_PLUGINS": ""}))
    assert {record.state for record in records.values()} == {"disabled"}


def test_an_allow_list_with_a_plugin_that_is_not_there_says_so() -> None:
    record = by_name(load_plugins({"TOOLKIT_LOAD_PLUGINS": "soups,soop"}))["soop"]
    assert record.state == "broken"
    assert record.cause.startswith("listed in TOOLKIT_LOAD_PLUGINS but not installed")


def test_the_deny_list_reaches_built_in_plugins() -> None:
    manager = load_plugins({"TOOLKIT_DISABLE_PLUGINS": "soups"})
    assert by_name(manager)["soups"].cause == "listed in TOOLKIT_DISABLE_PLUGINS"
    assert "mean" not in Catalog(manager).all(MERGE_STRATEGIES)


def test_plugin_errors_can_end_the_program(third_party: Callable[..., None]) -> None:
    third_party("misspelt-hook")
    with pytest.raises(PluginError, match=r"misspelt \(misspelt-hook 1.2\): unknown hook") as caught:
        load_plugins({"TOOLKIT_PLUGIN_ERRORS": "raise"})
    assert "unset TOOLKIT_PLUGIN_ERRORS" in caught.value.hint


@pytest.mark.parametrize("variable", ["TOOLKIT_PLUGIN_ERRORS", "TOOLKIT_TRACE_PLUGINS"])
def test_a_variable_with_a_wrong_value_is_named(variable: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{variable} is 'Maybe'"):
        load_plugins({variable: "Maybe"})


def test_tracing_says_on_stderr_what_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    manager = load_plugins({"TOOLKIT_TRACE_PLUGINS": "1"})
    manager.contributions(MERGE_STRATEGIES)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "toolkit: plugin soups (modelops-toolkit" in captured.err
    assert "toolkit_merge_strategies in " in captured.err
