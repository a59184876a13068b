"""The contract checks report what they check for."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit import hookimpl
from toolkit.declarations import (
    Command,
    Exporter,
    MergeRequest,
    MergeResult,
    MergeStrategy,
    ModelFormat,
    RunEvent,
    RunListener,
    tensorwise,
)
from toolkit.errors import PluginError, UnreadableInputError
from toolkit.host.catalog import Catalog
from toolkit.host.kinds import ARCHITECTURES, DATASET_LOADERS, MERGE_STRATEGIES, RUN_LISTENERS
from toolkit.options import option
from toolkit.store.content import FileContent
from toolkit.testing import (
    catalog_of,
    check_architecture,
    check_dataset,
    check_plugin,
    plugin_findings,
    run_events,
    small_ingredients,
)

FIXTURES = (run_events,)
GOOD = Path(__file__).parents[1] / "data" / "plugins" / "good"
Function = Callable[[tuple[NDArray[Any], ...]], Any]


@pytest.fixture
def good(monkeypatch: pytest.MonkeyPatch) -> Catalog:
    """The complete plugin of the documentation, by itself."""
    monkeypatch.syspath_prepend(GOOD)
    return catalog_of(importlib.import_module("toolkit_good"))


@dataclass(frozen=True)
class NeverMade:
    value: int = option(1, help="anything")

    def __post_init__(self) -> None:
        raise ValueError("never")


def module(**hooks: Callable[[], object]) -> ModuleType:
    made = ModuleType("made_for_a_test")
    for name, function in hooks.items():
        setattr(made, name, hookimpl(function))
    return made


def problems(**hooks: Callable[[], object]) -> list[str]:
    return [str(problem) for problem in plugin_findings(module(**hooks))]


def strategy(function: Function, shares: tuple[float, ...] = (), unchanged: str | None = None) -> list[str]:
    def merge(request: MergeRequest) -> MergeResult:
        model = tensorwise(request.ingredients, lambda arrays, _: function(arrays))
        return MergeResult(model, shares=shares, unchanged=unchanged)

    return problems(
        toolkit_merge_strategies=lambda: [MergeStrategy(name="tried", summary="Is tried", merge=merge)]
    )


def mean(arrays: tuple[NDArray[Any], ...]) -> NDArray[Any]:
    return np.asarray(np.mean(arrays, axis=0, dtype=np.float64))


def test_the_example_of_the_documentation_keeps_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(GOOD)
    check_plugin("good")
    check_plugin("toolkit_good")


def test_the_example_loads_a_data_set_that_keeps_the_contract(good: Catalog, tmp_path: Path) -> None:
    loader = good.get(DATASET_LOADERS, "stripes")
    (source,) = loader.detect(tmp_path)
    train, test = check_dataset(loader, source)
    assert (len(train), len(test)) == (600, 200)
    again, _ = check_dataset(loader, source)
    assert np.array_equal(train.images, again.images)


@pytest.mark.train
def test_the_example_builds_a_network_that_keeps_the_contract(good: Catalog) -> None:
    network = check_architecture(good.get(ARCHITECTURES, "tiny-cnn"))
    assert [layer.name for layer in network.layers] == ["conv", "norm", "flatten", "classes"]


def test_the_example_leaves_out_the_extremes(good: Catalog) -> None:
    trimmed = good.get(MERGE_STRATEGIES, "trimmed-mean")
    request = MergeRequest(small_ingredients((1, 2, 3)), trimmed.options())
    merged = trimmed.merge(request).model.tensors
    arrays = tuple(item.model.tensors.read("conv/bias") for item in request.ingredients)
    assert np.array_equal(merged.read("conv/bias"), np.median(arrays, axis=0))


def test_a_strategy_in_tensorwise_style_is_at_most_25_lines() -> None:
    assert len((GOOD / "toolkit_good" / "trimmed.py").read_text().splitlines()) <= 25


def test_a_mean_keeps_the_contract() -> None:
    assert strategy(mean) == []


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (sum, "3 copies of one model do not merge to that model"),
        (lambda arrays: arrays[0].ravel(), "returned float32 (36,) for tensor conv/kernel"),
        (lambda arrays: arrays[0].astype(np.float16), "returned float16"),
        (lambda arrays: arrays[0] * np.nan, "NaN"),
        (lambda arrays: arrays[0].tolist(), "returned list"),
        (
            lambda arrays: np.add(arrays[0], arrays[1], out=arrays[0]),
            "merge failed on small models: ValueError",
        ),
        (lambda arrays: np.random.default_rng().permutation(arrays)[0], "differs when it is read again"),
        (lambda arrays: arrays[0], "the order of the ingredients changes the result"),
    ],
)
def test_a_strategy_that_breaks_its_promise_is_reported(function: Function, said: str) -> None:
    assert any(said in problem for problem in strategy(function)), strategy(function)


def test_what_a_strategy_says_of_its_result_is_checked() -> None:
    assert any("3 shares with the sum 3 for 3" in text for text in strategy(mean, (1.0, 1.0, 1.0)))
    assert any("1 shares with the sum 1 for 3" in text for text in strategy(mean, (1.0,)))
    said = "unchanged is 'small-1', but the model is not that ingredient"
    assert said in "\n".join(strategy(mean, unchanged="small-1"))


def test_an_import_of_numpy_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toolkit_heavy.py").write_text(
        "import numpy\nfrom toolkit import hookimpl\n@hookimpl\ndef toolkit_exporters(): return ()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert [str(problem) for problem in plugin_findings("toolkit_heavy")] == [
        "plugin: its import imports numpy; import them inside the functions that use them"
    ]
    with pytest.raises(AssertionError, match="plugin toolkit_heavy breaks its contract:\nplugin: its import"):
        check_plugin("toolkit_heavy")
    del sys.modules["toolkit_heavy"]


def test_a_forgotten_marker_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toolkit_unmarked.py").write_text("def toolkit_exporters(): return ()\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert [problem.text for problem in plugin_findings("toolkit_unmarked")] == [
        "toolkit_exporters is not marked with @hookimpl",
        "implements no hook",
    ]
    del sys.modules["toolkit_unmarked"]


def test_options_without_help_are_reported() -> None:
    @dataclass(frozen=True)
    class Silent:
        value: int = 3

    Silent.__annotations__["value"] = int
    found = problems(
        toolkit_merge_strategies=lambda: [
            MergeStrategy(
                name="tried",
                summary="Is tried",
                merge=lambda asked: MergeResult(tensorwise(asked.ingredients, lambda found, _: mean(found))),
                options=Silent,
            )
        ]
    )
    assert found == [
        "merge strategy 'tried': option value has no help text; declare it with toolkit.options.option"
    ]


def test_options_that_refuse_their_own_defaults_are_reported() -> None:
    found = problems(
        toolkit_exporters=lambda: [
            Exporter(
                name="tried",
                summary="Is tried",
                suffix=".x",
                export=lambda _: None,
                options=NeverMade,  # type: ignore[arg-type, return-value]
            )
        ],
    )
    assert found == ["exporter 'tried': its default options are not valid: ValueError: never"]


def test_a_callable_that_takes_no_request_is_reported() -> None:
    def hear() -> None:
        return None

    found = problems(
        toolkit_run_listeners=lambda: [RunListener(name="deaf", summary="Hears nothing", hear=hear)]  # type: ignore[arg-type]
    )
    assert found == ["run listener 'deaf': hear() -> 'None' cannot be called with 1 positional argument"]


def test_a_format_that_reads_random_bytes_as_a_model_is_reported() -> None:
    def read(path: Path) -> Any:
        return path.read_bytes()[0]

    found = problems(
        toolkit_model_formats=lambda: [
            ModelFormat(name="tried", summary="Is tried", suffixes=(".x",), read=read)
        ]
    )
    assert found == [
        "model format 'tried': read raises IndexError for an empty file (.x), expected UnreadableInputError",
        "model format 'tried': read accepts a file of random bytes (.x) as a model",
    ]


def test_a_format_that_recognises_every_file_is_reported() -> None:
    def read(path: Path) -> Any:
        raise UnreadableInputError(f"{path}: no model")

    def first(content: FileContent) -> bool:
        return content.head[0] == 0

    found = problems(
        toolkit_model_formats=lambda: [
            ModelFormat(name="tried", summary="Is tried", suffixes=(".x",), read=read, recognises=first)
        ]
    )
    assert found == [
        "model format 'tried': recognises raises IndexError for an empty file (.x), expected False",
        "model format 'tried': recognises takes a file of random bytes (.x) for a model",
    ]


def test_a_command_that_does_not_load_is_reported() -> None:
    def commands() -> Iterable[Command]:
        yield Command(name="good", summary="Good", load=lambda: click.Command("good"))
        yield Command(name="bad", summary="Bad", load=lambda: "bad")  # type: ignore[arg-type, return-value]

    assert problems(toolkit_commands=commands) == [
        "command 'bad': load returned str 'bad', expected click.Command"
    ]


def test_an_unknown_name_is_reported() -> None:
    with pytest.raises(PluginError, match="there is no plugin and no module 'toolkit_nowhere'"):
        check_plugin("toolkit_nowhere")


def test_fixtures_for_authors(run_events: Iterable[RunEvent]) -> None:
    assert catalog_of().records == ()
    heard: list[str] = []
    ear = RunListener(name="ear", summary="Hears", hear=lambda event: heard.append(event.kind))
    catalog = catalog_of(module(toolkit_run_listeners=lambda: [ear]))
    for event in run_events:
        catalog.get(RUN_LISTENERS, "ear").hear(event)
    assert heard == ["started", "epoch", "epoch", "finished"]


def test_options_that_change_on_their_way_through_json_are_found() -> None:
    @dataclass
    class Odd:
        value: int = option(1, help="anything")

        def __eq__(self, other: object) -> bool:
            return False

        __hash__ = None  # type: ignore[assignment]

    Odd.__annotations__["value"] = int
    found = problems(
        toolkit_exporters=lambda: [
            Exporter(name="tried", summary="Is tried", suffix=".x", export=lambda _: None, options=Odd)  # type: ignore[arg-type, return-value]
        ],
    )
    assert [text.partition(";")[0] for text in found] == [
        "exporter 'tried': its options are not equal to themselves after JSON"
    ]


def test_options_whose_annotations_exist_for_type_checkers_only_are_found() -> None:
    @dataclass(frozen=True)
    class Unresolvable:
        value: Missing = option(1, help="anything")  # type: ignore[name-defined]  # noqa: F821

    (found,) = problems(
        toolkit_exporters=lambda: [
            Exporter(
                name="tried", summary="Is tried", suffix=".x", export=lambda _: None, options=Unresolvable
            )  # type: ignore[arg-type, return-value]
        ],
    )
    assert found.startswith("plugin: exporter 'tried': Unresolvable: its annotations cannot be resolved")


WITHOUT_PYTEST = "import sys; sys.modules['pytest'] = None; "


def test_without_pytest_the_module_says_what_to_install() -> None:
    program = WITHOUT_PYTEST + "import toolkit.testing"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: toolkit.testing needs pytest; install it with: pip install pytest"
    )
    assert "ModuleNotFoundError" not in done.stderr


def test_plugins_are_checked_without_pytest() -> None:
    arguments = "sys.argv = ['toolkit', 'plugins', 'check']; "
    program = f"{WITHOUT_PYTEST}{arguments}from toolkit.cli.main import main; main()"
    environ = {**os.environ, "TOOLKIT_LOAD_PLUGINS": "journal"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environ
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "journal (modelops-toolkit" in done.stdout
