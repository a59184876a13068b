"""The contract checks find what they are there to find."""

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
    Ingredient,
    MergeRequest,
    MergeResult,
    MergeStrategy,
    ModelFormat,
    RunEvent,
    RunListener,
    TensorGroup,
)
from toolkit.errors import PluginError
from toolkit.host.catalog import Catalog
from toolkit.host.kinds import ARCHITECTURES, DATASET_LOADERS, MERGE_STRATEGIES, RUN_LISTENERS
from toolkit.options import option
from toolkit.testing import (
    catalog_of,
    check_architecture,
    check_dataset,
    check_plugin,
    empty_catalog,
    make_catalog,
    plugin_findings,
    run_events,
    small_ingredients,
)

FIXTURES = (empty_catalog, make_catalog, run_events, small_ingredients)
GOOD = Path(__file__).parents[1] / "data" / "plugins" / "good"
Combine = Callable[[TensorGroup], NDArray[np.floating[Any]]]


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


def strategy(
    combine: Combine, weights: Callable[[int], tuple[float, ...]] = lambda n: (1 / n,) * n
) -> list[str]:
    def merge(request: MergeRequest) -> MergeResult:
        return MergeResult(combine, weights(len(request.ingredients)))

    return problems(
        toolkit_merge_strategies=lambda: [MergeStrategy(name="tried", summary="Is tried", merge=merge)]
    )


def first(group: TensorGroup) -> NDArray[np.floating[Any]]:
    return group.arrays[0]


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


def test_the_example_leaves_out_the_extremes(
    good: Catalog,
    small_ingredients: Callable[[tuple[int, ...]], tuple[Ingredient, ...]],
) -> None:
    request = MergeRequest(
        small_ingredients((1, 2, 3)), 3, good.get(MERGE_STRATEGIES, "trimmed-mean").options()
    )
    result = good.get(MERGE_STRATEGIES, "trimmed-mean").merge(request)
    arrays = tuple(item.model.tensors.read("conv/bias") for item in request.ingredients)
    role = request.ingredients[0].model.tensors.specs["conv/bias"].role
    assert np.array_equal(result.combine(TensorGroup("conv/bias", role, arrays)), np.median(arrays, axis=0))


def test_a_mean_keeps_the_contract() -> None:
    assert strategy(lambda group: np.mean(group.arrays, axis=0, dtype=np.float64)) == []


@pytest.mark.parametrize(
    ("combine", "said"),
    [
        (lambda group: sum(group.arrays), "3 copies of one model do not merge to that model"),
        (lambda group: group.arrays[0].ravel(), "combine returned the shape (36,) for conv/kernel"),
        (lambda group: group.arrays[0].astype(np.float16), "combine returned float16"),
        (lambda group: group.arrays[0] * np.nan, "not finite"),
        (lambda group: group.arrays[0].tolist(), "combine returned list"),
        (
            lambda group: np.add(group.arrays[0], group.arrays[1], out=group.arrays[0]),
            "merge failed on small models: ValueError",
        ),
        (lambda group: np.random.default_rng().permutation(group.arrays)[0], "combine is not pure"),
    ],
)
def test_a_strategy_that_breaks_its_promise_is_found_out(combine: Combine, said: str) -> None:
    assert any(said in problem for problem in strategy(combine)), strategy(combine)


def test_weights_of_a_strategy_are_looked_at() -> None:
    assert any(
        "expected finite numbers that sum to 1" in text for text in strategy(first, lambda n: (1.0,) * n)
    )
    assert any("weights has 1 numbers for 3" in text for text in strategy(first, lambda _: (1.0,)))


def test_an_import_that_pulls_in_numpy_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_forgotten_marker_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toolkit_unmarked.py").write_text("def toolkit_exporters(): return ()\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert [problem.text for problem in plugin_findings("toolkit_unmarked")] == [
        "toolkit_exporters is not marked with @hookimpl",
        "implements no hook",
    ]
    del sys.modules["toolkit_unmarked"]


def test_options_without_help_are_found_out() -> None:
    @dataclass(frozen=True)
    class Silent:
        value: int = 3

    Silent.__annotations__["value"] = int
    found = problems(
        toolkit_merge_strategies=lambda: [
            MergeStrategy(
                name="tried",
                summary="Is tried",
                merge=lambda _: MergeResult(first, (1, 0, 0)),
                options=Silent,
            )
        ]
    )
    assert found == [
        "merge strategy 'tried': option value has no help text; declare it with toolkit.options.option"
    ]


def test_options_that_refuse_their_own_defaults_are_found_out() -> None:
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


def test_a_callable_that_takes_no_request_is_found_out() -> None:
    def hear() -> None:
        return None

    found = problems(
        toolkit_run_listeners=lambda: [RunListener(name="deaf", summary="Hears nothing", hear=hear)]  # type: ignore[arg-type]
    )
    assert found == ["run listener 'deaf': hear() -> 'None' cannot be called with 1 positional argument"]


def test_a_format_that_takes_noise_for_a_model_is_found_out() -> None:
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


def test_a_command_that_does_not_load_is_found_out() -> None:
    def commands() -> Iterable[Command]:
        yield Command(name="good", summary="Good", load=lambda: click.Command("good"))
        yield Command(name="bad", summary="Bad", load=lambda: "bad")  # type: ignore[arg-type, return-value]

    assert problems(toolkit_commands=commands) == [
        "command 'bad': load returned str 'bad', expected click.Command"
    ]


def test_a_name_that_is_nothing_is_said_to_be_so() -> None:
    with pytest.raises(PluginError, match="there is no plugin and no module 'toolkit_nowhere'"):
        check_plugin("toolkit_nowhere")


def test_fixtures_for_authors(
    empty_catalog: Catalog,
    make_catalog: Callable[..., Catalog],
    run_events: Iterable[RunEvent],
) -> None:
    assert empty_catalog.records == ()
    heard: list[str] = []
    ear = RunListener(name="ear", summary="Hears", hear=lambda event: heard.append(event.kind))
    catalog = make_catalog(module(toolkit_run_listeners=lambda: [ear]))
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
