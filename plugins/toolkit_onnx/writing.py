"""Models of the dialect ``onnx`` as files, so that what was read can be written after a merge."""

from __future__ import annotations

from pathlib import Path

import onnx

from toolkit.errors import UnsupportedError
from toolkit.model import Model
from toolkit_onnx.metadata import write_properties

PRODUCER = "modelops-toolkit"


def write(model: Model, path: Path) -> None:
    """Write a model that came from an ONNX file; its graph stays as it is.

    Args:
        model: Of the dialect ``onnx``.
        path: Does not exist yet.

    Raises:
        UnsupportedError: If the model came from another format.
    """
    if model.dialect != "onnx":
        raise UnsupportedError(
            f"{model.name}: a {model.dialect} network cannot be kept as ONNX without changing it",
            hint="`toolkit export MODEL --to onnx` turns it into one",
        )
    proto = model.build_graph().bind(model.tensors)
    sign(proto)
    write_properties(proto, model.card)
    path.write_bytes(as_bytes(proto))


def sign(model: onnx.ModelProto) -> None:
    """Say who wrote the file."""
    from toolkit import __version__

    model.producer_name = PRODUCER
    model.producer_version = __version__


def as_bytes(model: onnx.ModelProto) -> bytes:
    """The file's bytes; equal models give equal bytes."""
    content: bytes = model.SerializeToString(deterministic=True)
    return content
