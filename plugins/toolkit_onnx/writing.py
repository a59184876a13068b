"""Writing models that were read from ONNX files."""

from __future__ import annotations

from pathlib import Path

from toolkit.errors import UnsupportedError
from toolkit.graph.separated import separated
from toolkit.model import Model
from toolkit.onnx_export import sign


def write(model: Model, path: Path) -> None:
    """Write a model that was read from an ONNX file; its graph stays as it is."""
    if model.dialect != "onnx":
        raise UnsupportedError(
            f"{model.name}: a {model.dialect} network cannot be saved as ONNX without changing it",
            hint="convert it with `toolkit export MODEL --to onnx`",
        )
    whole = separated(model.build_graph(), model.tensors)
    sign(whole.proto, model.card)
    whole.write(path)
