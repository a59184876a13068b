"""ONNX with 8-bit integers: smaller and faster, if that is measured to be true."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from toolkit import hookimpl
from toolkit.options import option
from toolkit.records import dataclass
from toolkit.types import Exporter, lazy


@dataclass(frozen=True)
class Int8Options:
    """Of the exporter ``onnx-int8``."""

    images: int = option(512, help="number of images to calibrate on", minimum=16, maximum=100_000)
    method: Literal["minmax", "percentile", "entropy"] = option(
        "minmax",
        help="range of each activation: all values, all but the outermost, or the range with the least "
        "Kullback-Leibler divergence",
    )
    percentile: float = option(
        99.99, help="for method=percentile: values within the range, in %", minimum=90.0, maximum=100.0
    )
    budget: float = option(
        0.5, help="accuracy that may be lost, in percentage points", minimum=0.0, maximum=100.0
    )
    validation: int = option(
        5000, help="number of validation images to measure the accuracy on", minimum=100, maximum=1_000_000
    )
    reduce_range: bool = option(
        default=False,
        help="7 bits for weights, so that sums cannot overflow on processors without VNNI instructions",
    )


@hookimpl
def toolkit_exporters() -> Iterable[Exporter]:
    """The exporter ``onnx-int8``."""
    yield Exporter(
        name="onnx-int8",
        summary="ONNX with 8-bit weights and activations, saved only if it is faster and as accurate",
        suffix=".onnx",
        ending=".int8.onnx",
        export=lazy("toolkit_int8.export:export"),
        options=Int8Options,
        needs_convention=True,
    )
