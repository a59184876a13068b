"""Options of the exporter through tf2onnx."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.options import option


@dataclass(frozen=True)
class ConvertOptions:
    """Of the exporter through tf2onnx."""

    opset: int = option(17, help="Version of ONNX' operators.", minimum=15, maximum=18)
