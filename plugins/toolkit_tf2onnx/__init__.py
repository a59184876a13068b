"""ONNX through Keras and tf2onnx; needs the extra ``convert``."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit import hookimpl
from toolkit.options import option
from toolkit.records import dataclass
from toolkit.types import Exporter, lazy


@dataclass(frozen=True)
class ConvertOptions:
    """Of the exporter through tf2onnx."""

    normalise: bool = option(default=False, help="Divide the outputs of a sigmoid head by their sum.")
    opset: int = option(17, help="Version of ONNX' operators.", minimum=15, maximum=18)


@hookimpl
def toolkit_exporters() -> Iterable[Exporter]:
    """Keras models as ONNX, converted by tf2onnx."""
    yield Exporter(
        name="onnx-tf2onnx",
        summary="ONNX through Keras and tf2onnx, for layers that the exporter onnx does not support",
        suffix=".onnx",
        export=lazy("toolkit_tf2onnx.conversion:export"),
        options=ConvertOptions,
    )
