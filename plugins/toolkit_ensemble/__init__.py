"""Several models as one ONNX network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from toolkit import hookimpl
from toolkit.options import option
from toolkit.records import dataclass
from toolkit.types import Exporter, lazy


@dataclass(frozen=True)
class EnsembleOptions:
    """Of the exporter ``onnx-ensemble``."""

    combine: Literal["mean", "confident"] = option(
        "mean",
        help="mean of the models' probabilities, or for each image those with the lowest entropy",
    )
    weights: tuple[float, ...] = option(
        (), help="for combine=mean: weight of each model, as they are named; by default equal"
    )


@hookimpl
def toolkit_exporters() -> Iterable[Exporter]:
    """The exporter ``onnx-ensemble``."""
    yield Exporter(
        name="onnx-ensemble",
        summary="ONNX with several models of the same classes, each with its own input format",
        suffix=".onnx",
        ending=".ensemble.onnx",
        export=lazy("toolkit_ensemble.export:export"),
        options=EnsembleOptions,
        several=True,
        needs_convention=True,
    )
