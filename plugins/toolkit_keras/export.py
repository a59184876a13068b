"""The two formats as exporters: written, read back, compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from toolkit.errors import ProofError, ToolkitError
from toolkit.model import Model
from toolkit.model.correspondence import signature
from toolkit.tensors import RecordedTensors, weights_digest
from toolkit.types import ExportRequest, ExportResult
from toolkit_keras.read_h5 import read_h5
from toolkit_keras.read_keras import read_keras
from toolkit_keras.write_h5 import write_h5
from toolkit_keras.write_keras import write_keras


def export_h5(request: ExportRequest) -> ExportResult:
    """Write `.h5`; raises ProofError unless reading it back gives the same network."""
    return _export(request, write_h5, read_h5)


def export_keras(request: ExportRequest) -> ExportResult:
    """Write `.keras`; raises ProofError unless reading it back gives the same network."""
    return _export(request, write_keras, read_keras)


def _export(
    request: ExportRequest, write: Callable[[Model, Path], None], read: Callable[[Path], Model]
) -> ExportResult:
    source = request.model
    recorded = RecordedTensors(source.tensors)
    write(dataclasses.replace(source, tensors=recorded), request.path)
    try:
        written = read(request.path)
        digest = weights_digest(written.tensors)
    except ToolkitError as error:
        raise ProofError(
            f"{request.path.name} cannot be read back: {error.message}", hint="report this"
        ) from error
    if digest != recorded.weights_digest():
        raise ProofError(
            f"{request.path.name} does not hold the weights of {source.name}", hint="report this"
        )
    if signature(written) != signature(source):
        raise ProofError(f"{request.path.name} is not the network of {source.name}", hint="report this")
    return ExportResult(
        request.path,
        {
            "tensors": len(written.tensors),
            "parameters": written.parameters,
            "weights_digest": digest,
            "verified": "read back with the same layers and weights",
        },
    )
