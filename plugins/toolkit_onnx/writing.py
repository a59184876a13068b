"""Writing models that were read from ONNX files."""

from __future__ import annotations

from pathlib import Path

from toolkit.errors import UnsupportedError
from toolkit.graph.onnx_form import to_onnx
from toolkit.model import Model
from toolkit.onnx_export import signed


def write(model: Model, path: Path) -> None:
    """Write a model that was read from an ONNX file; its graph stays as it is."""
    if model.dialect != "onnx":
        raise UnsupportedError(
            f"{model.name}: a {model.dialect} network cannot be saved as ONNX without changing it",
            hint="convert it with `toolkit export MODEL --to onnx`",
        )
    path.write_bytes(signed(to_onnx(model.build_graph(), model.tensors), model.card))
