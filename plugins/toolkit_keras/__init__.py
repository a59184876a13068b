"""Keras model files, read and written as data: `.h5` and `.keras`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.host.hookspecs import hookimpl
from toolkit.types import Exporter, ExportRequest, ExportResult, ModelFormat

if TYPE_CHECKING:
    from toolkit.model import Model


def _read_h5(path: Path) -> Model:
    from toolkit_keras.read_h5 import read_h5

    return read_h5(path)


def _write_h5(model: Model, path: Path) -> None:
    from toolkit_keras.write_h5 import write_h5

    write_h5(model, path)


def _read_keras(path: Path) -> Model:
    from toolkit_keras.read_keras import read_keras

    return read_keras(path)


def _write_keras(model: Model, path: Path) -> None:
    from toolkit_keras.write_keras import write_keras

    write_keras(model, path)


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
    for name, summary, suffixes, read, write in (
        ("h5", "Keras HDF5, whole model", (".h5", ".hdf5"), _read_h5, _write_h5),
        ("keras", "Keras archive", (".keras",), _read_keras, _write_keras),
    ):
        yield ModelFormat(
            name=name, summary=summary, suffixes=suffixes, read=read, write=write, dialects=("keras",)
        )


@hookimpl
def toolkit_exporters() -> Iterable[Exporter]:
    """The same two, to convert one into the other."""
    for name, summary, write in (
        ("h5", "Keras HDF5, for Keras 2 and 3", _write_h5),
        ("keras", "Keras archive, for Keras 3", _write_keras),
    ):
        export = partial(_export, write=write)
        yield Exporter(name=name, summary=summary, suffix=f".{name}", export=export)
