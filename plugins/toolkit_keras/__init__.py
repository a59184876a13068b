"""Keras model files, read and written as data: `.h5` and `.keras`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.host.hookspecs import hookimpl
from toolkit.types import Exporter, ExportRequest, ExportResult, ModelFormat, lazy

if TYPE_CHECKING:
    from toolkit.model import Model


_WRITE_H5 = lazy("toolkit_keras.write_h5:write_h5")
_WRITE_KERAS = lazy("toolkit_keras.write_keras:write_keras")


def _export(request: ExportRequest, write: Callable[[Model, Path], None]) -> ExportResult:
    """Write a model; the host reads the file back and compares the digest."""
    from dataclasses import replace

    from toolkit.tensors import RecordedTensors

    tensors = RecordedTensors(request.model.tensors)
    write(replace(request.model, tensors=tensors), request.path)
    facts = {
        "tensors": len(tensors),
        "parameters": request.model.parameters,
        "weights_digest": tensors.weights_digest(),
    }
    return ExportResult(request.path, facts, "read back, same weights")


@hookimpl
def toolkit_model_formats() -> Iterable[ModelFormat]:
    """Keras' two whole-model formats."""
    for name, summary, suffixes, write in (
        ("h5", "Keras HDF5, whole model", (".h5", ".hdf5"), _WRITE_H5),
        ("keras", "Keras archive", (".keras",), _WRITE_KERAS),
    ):
        read = lazy(f"toolkit_keras.read_{name}:read_{name}")
        yield ModelFormat(
            name=name, summary=summary, suffixes=suffixes, read=read, write=write, dialects=("keras",)
        )


@hookimpl
def toolkit_exporters() -> Iterable[Exporter]:
    """The same two, to convert one into the other."""
    for name, summary, write in (
        ("h5", "Keras HDF5, for Keras 2 and 3", _WRITE_H5),
        ("keras", "Keras archive, for Keras 3", _WRITE_KERAS),
    ):
        export = partial(_export, write=write)
        yield Exporter(name=name, summary=summary, suffix=f".{name}", export=export)
