"""The checks of exporters report what they check for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

import toolkit_ensemble
import toolkit_int8
import toolkit_keras
import toolkit_onnx
import toolkit_tf2onnx
from toolkit.contract.exporter_checks import exporter_problems
from toolkit.declarations import Exporter, ExportRequest, ExportResult
from toolkit.errors import UnsupportedError


def problems(export: Callable[[ExportRequest], Any], *, several: bool = False) -> list[str]:
    declared = Exporter(name="tried", summary="for tests", suffix=".txt", export=export, several=several)
    return list(exporter_problems(declared))


def good(request: ExportRequest) -> ExportResult:
    request.path.write_text("exported")
    return ExportResult(request.path)


def test_a_good_exporter_has_no_problems() -> None:
    assert problems(good) == []
    assert problems(good, several=True) == []


def test_a_refusal_is_no_problem_and_another_exception_is() -> None:
    def refuse(request: ExportRequest) -> ExportResult:
        raise UnsupportedError(f"{request.model.name}: too small")

    def fail(request: ExportRequest) -> ExportResult:
        raise KeyError("layer")

    assert problems(refuse) == []
    assert problems(fail) == ["export failed on a small network: KeyError: 'layer'"]


def test_an_exporter_of_several_models_is_tried_with_one_and_with_two() -> None:
    counts = []

    def count(request: ExportRequest) -> ExportResult:
        counts.append(1 + len(request.others))
        return good(request)

    assert problems(count, several=True) == []
    assert problems(count) == []
    assert counts == [1, 2, 1]


def test_an_exporter_can_draw_images() -> None:
    def drawing(request: ExportRequest) -> ExportResult:
        assert request.draw is not None
        images = request.draw("validation", 10)
        assert (len(images), images.problem()) == (10, "")
        return good(request)

    assert problems(drawing) == []


def test_files_elsewhere_and_other_results_are_found() -> None:
    def beside(request: ExportRequest) -> ExportResult:
        request.path.with_suffix(".data").write_text("more")
        return good(request)

    def nowhere(request: ExportRequest) -> ExportResult:
        return ExportResult(Path("elsewhere.txt"))

    assert problems(beside) == ["export wrote other files beside its own: staged.data"]
    assert problems(nowhere) == [
        "export returned the path elsewhere.txt, expected that of the request",
        "export did not write a file to the path of the request",
    ]
    assert problems(lambda request: cast(Any, request.path)) == [
        f"export returned {type(Path()).__name__}, expected ExportResult"
    ]


def test_a_changed_model_is_found() -> None:
    def change(request: ExportRequest) -> ExportResult:
        array = request.model.tensors.read("dense/bias")
        array.flags.writeable = True
        array += 1
        return good(request)

    assert problems(change) == ["export changed the tensors of its model"]


@pytest.mark.parametrize(
    "plugin", [toolkit_onnx, toolkit_int8, toolkit_ensemble, toolkit_keras, toolkit_tf2onnx]
)
def test_the_built_in_exporters_have_no_problems(plugin: Any) -> None:
    for declared in plugin.toolkit_exporters():
        assert list(exporter_problems(declared)) == []
