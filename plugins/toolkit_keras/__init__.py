"""Keras model files, read and written as data: `.h5` and `.keras`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from toolkit.host.hookspecs import hookimpl
from toolkit.types import Exporter, ExportRequest, ExportResult, ModelFormat, lazy


@hookimpl
def toolkit_model_formats() -> Iterable[ModelFormat]:
    """Keras' two whole-model formats."""
    for name, summary, suffixes in (
        ("h5", "Keras HDF5, whole model", (".h5", ".hdf5")),
        ("keras", "Keras archive", (".keras",)),
    ):
        read, write = (lazy(f"toolkit_keras.{verb}_{name}:{verb}_{name}") for verb in ("read", "write"))
        yield ModelFormat(
            name=name, summary=summary, suffixes=suffixes, read=read, write=write, dialects=("keras",)
        )


@hookimpl
def toolkit_exporters() -> Iterable[Exporter]:
    """The same two, to convert one into the other."""
    for name, summary in (("h5", "Keras HDF5, for Keras 2 and 3"), ("keras", "Keras archive, for Keras 3")):
        yield Exporter(name=name, summary=summary, suffix=f".{name}", export=partial(_export, name))


def _export(name: str, request: ExportRequest) -> ExportResult:
    """Write a model; the host reads the file back and compares the digest."""
    from dataclasses import replace

    from toolkit.tensors import RecordedTensors

    tensors = RecordedTensors(request.model.tensors)
    write = lazy(f"toolkit_keras.write_{name}:write_{name}")
    write(replace(request.model, tensors=tensors), request.path)
    facts = {
        "tensors": len(tensors),
        "parameters": request.model.parameters,
        "weights_digest": tensors.weights_digest(),
    }
    return ExportResult(request.path, facts, "read back, same weights")
