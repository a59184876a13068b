"""ONNX files: read, write, export."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit import hookimpl
from toolkit.options import option
from toolkit.records import dataclass
from toolkit.types import Exporter, ModelFormat, lazy


@dataclass(frozen=True)
class DirectOptions:
    """Of the direct exporter."""

    opset: int = option(17, help="Version of ONNX' operators.", minimum=15, maximum=21)
    keep_batch_norm: bool = option(
        default=False, help="Keep batch normalisation, instead of folding it into its neighbours."
    )
    with_preprocessing: bool = option(
        default=False,
        help="Take uint8 pictures, 28×28, upright, light ink; give logits, label and top 5 as well.",
    )
    normalise: bool = option(default=False, help="Divide the outputs of a sigmoid head by their sum.")
    input_name: str = option("image", help="Name of the input.")
    output_name: str = option("probabilities", help="Name of the output with the probabilities.")


@hookimpl
def toolkit_model_formats() -> Iterable[ModelFormat]:
    """ONNX files as models."""
    yield ModelFormat(
        name="onnx",
        summary="ONNX, one file, read without running it; float32 weights can be merged",
        suffixes=(".onnx",),
        read=lazy("toolkit_onnx.reading:read"),
        write=lazy("toolkit_onnx.writing:write"),
        dialects=("onnx",),
        recognises=lazy("toolkit_onnx.onnx_content:is_onnx"),
    )


@hookimpl
def toolkit_exporters() -> Iterable[Exporter]:
    """Models as ONNX files for other people's programs."""
    yield Exporter(
        name="onnx",
        summary="ONNX straight from the graph: small, without TensorFlow, the same bytes every time",
        suffix=".onnx",
        export=lazy("toolkit_onnx.direct:export"),
        options=DirectOptions,
        fallback="onnx-tf2onnx",
    )
