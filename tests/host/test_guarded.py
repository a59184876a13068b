"""Calls into plugins: errors and wrong results are errors of the plugin."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from toolkit import hookimpl
from toolkit.contract.strategy_checks import small_model
from toolkit.data import Dataset
from toolkit.declarations import (
    DatasetLoader,
    DatasetSource,
    Exporter,
    ExportRequest,
    ExportResult,
    MergeRequest,
    MergeResult,
    MergeStrategy,
    ModelFormat,
)
from toolkit.errors import PluginError, UnreadableInputError
from toolkit.host.catalog import Catalog
from toolkit.host.kinds import DATASET_LOADERS, EXPORTERS, KINDS, MERGE_STRATEGIES
from toolkit.testing import catalog_of

HERE = Path()


def leaves(*_arguments: object) -> Any:
    sys.exit(0)


def returns(result: object) -> Callable[[object], Any]:
    return lambda _request: result


def raises(error: BaseException) -> Callable[[object], Any]:
    def function(_request: object) -> Any:
        raise error

    return function


def catalog(**functions: Callable[..., Any]) -> Catalog:
    """One contribution of each kind, named ``odd``, with the given callables."""

    def function(name: str) -> Callable[..., Any]:
        return functions.get(name, leaves)

    return catalog_of(
        SimpleNamespace(
            toolkit_dataset_loaders=hookimpl(
                lambda: [
                    DatasetLoader(name="odd", summary="Odd", detect=function("detect"), load=function("load"))
                ]
            ),
            toolkit_model_formats=hookimpl(
                lambda: [ModelFormat(name="odd", summary="Odd", suffixes=(".odd",), read=function("read"))]
            ),
            toolkit_merge_strategies=hookimpl(
                lambda: [MergeStrategy(name="odd", summary="Odd", merge=function("merge"))]
            ),
            toolkit_exporters=hookimpl(
                lambda: [Exporter(name="odd", summary="Odd", suffix=".odd", export=function("export"))]
            ),
            __name__="toolkit_odd",
        ),
        distribution="odd-dist",
    )


def call(field: str, function: Callable[..., Any]) -> Any:
    plugins = catalog(**{field: function})
    kind = next(kind for kind in KINDS if field in kind.calls)
    return getattr(plugins.get(kind, "odd"), field)(HERE)


@pytest.mark.parametrize("field", ["load", "read", "merge", "export"])
def test_sys_exit_in_a_plugin_does_not_end_the_program(field: str) -> None:
    with pytest.raises(PluginError, match=rf"odd-dist 0\): {field} called sys\.exit\(0\)"):
        call(field, leaves)


ARRAY = np.zeros(1, dtype=np.float32)
MODEL = small_model(0)


@pytest.mark.parametrize(
    ("field", "result", "said"),
    [
        ("load", None, "load returned NoneType, expected toolkit.data.Dataset"),
        (
            "load",
            Dataset("x", ("a", "b"), cast(Any, [[1]]), cast(Any, [0])),
            "Dataset whose images is list [[1]], expected ndarray",
        ),
        ("read", {}, "read returned dict {}, expected toolkit.model.Model"),
        ("merge", None, "NoneType, expected MergeResult"),
        (
            "merge",
            MergeResult(cast(Any, ARRAY)),
            "MergeResult whose model is ndarray array([0.], dtype=float32), expected",
        ),
        (
            "merge",
            MergeResult(MODEL, shares=cast(Any, "half")),
            "MergeResult whose shares is str 'half', expected tuple[float, ...]",
        ),
        (
            "merge",
            MergeResult(MODEL, notes=cast(Any, "a note")),
            "notes is str 'a note', expected tuple[str, ...]",
        ),
        (
            "merge",
            MergeResult(MODEL, steps=cast(Any, ("a",))),
            "steps is tuple with str 'a', expected MergeStep",
        ),
        (
            "merge",
            MergeResult(MODEL, unchanged=cast(Any, 3)),
            "unchanged is int 3, expected str",
        ),
        ("export", Path("file"), "export returned PosixPath PosixPath('file'), expected ExportResult"),
        ("export", ExportResult(HERE, cast(Any, None)), "facts is NoneType, expected Mapping[str, Any]"),
        (
            "export",
            ExportResult(HERE, cast(Mapping[str, Any], {3: 4})),
            "facts is dict with int 3, expected str",
        ),
    ],
)
def test_a_result_of_another_type_is_named_with_its_plugin(field: str, result: object, said: str) -> None:
    with pytest.raises(PluginError) as caught:
        call(field, returns(result))
    assert said in caught.value.message
    assert "'odd' of the plugin toolkit_odd (odd-dist 0)" in caught.value.message


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a bug"), OSError(28, "full")])
def test_what_a_plugin_raises_while_it_works_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        call("export", raises(error))
    assert caught.value is error


@pytest.mark.parametrize(
    ("detect", "said"),
    [
        (raises(KeyError("k")), "detect failed: KeyError: 'k'"),
        (returns(None), "detect returned NoneType, expected Sequence[DatasetSource]"),
        (returns([1]), "detect returned list with int 1, expected DatasetSource"),
        (leaves, "detect called sys.exit(0)"),
    ],
)
def test_a_detect_that_fails_finds_nothing_and_is_reported_once(
    detect: Callable[..., Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    loader = catalog(detect=detect).get(DATASET_LOADERS, "odd")
    assert loader.detect(HERE) == loader.detect(HERE) == ()
    (message,) = caplog.messages
    assert said in message
    assert "dataset loader 'odd' of the plugin toolkit_odd (odd-dist 0)" in message


def test_the_sources_of_a_detect_are_returned() -> None:
    source = DatasetSource("data", "odd", "Data")
    assert catalog(detect=returns([source])).get(DATASET_LOADERS, "odd").detect(HERE) == (source,)


def test_an_unexpected_exception_of_a_format_is_an_error_of_its_plugin() -> None:
    with pytest.raises(PluginError, match=r"model\.odd: read failed: KeyError: 'k'"):
        catalog(read=raises(KeyError("k"))).format_for(Path("model.odd")).read(Path("model.odd"))
    for expected in (UnreadableInputError("damaged"), OSError(5, "I/O"), MemoryError()):
        with pytest.raises(type(expected)):
            call("read", raises(expected))


def test_a_strategy_whose_needs_are_not_valid_is_named() -> None:
    strategy = MergeStrategy(name="odd", summary="Odd", merge=leaves, needs=returns(["scores"]))
    with pytest.raises(PluginError, match="merge strategy 'odd': needs are"):
        strategy.needs_with(None)


def test_a_contribution_keeps_the_declaration_of_its_plugin() -> None:
    plugins = catalog(export=returns(None))
    assert plugins.find(EXPORTERS, "odd").declaration.export(cast(ExportRequest, None)) is cast(Any, None)
    assert plugins.get(EXPORTERS, "odd") is plugins.all(EXPORTERS)["odd"]


def test_requests_reach_the_plugin() -> None:
    result = MergeResult(MODEL)
    merge = catalog(merge=returns(result)).get(MERGE_STRATEGIES, "odd").merge
    assert merge(cast(MergeRequest, None)) is result
