"""Options of the exporter to ONNX."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.options import option


@dataclass(frozen=True)
class DirectOptions:
    """Of the direct exporter."""

    fold: bool = option(default=True, help="Fold batch normalisation into its neighbours if that is exact.")
    opset: int = option(17, help="Version of ONNX' operators.", minimum=15, maximum=21)
