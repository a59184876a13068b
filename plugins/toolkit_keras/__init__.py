"""Keras model files, read and written as data: `.h5` and `.keras`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from toolkit.host.hookspecs import hookimpl
from toolkit.options import option
from toolkit.records import dataclass
from toolkit.types import Exporter, ModelFormat, lazy


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


@dataclass(frozen=True)
class KerasOptions:
    """Of the exporters to Keras' formats."""

    check: bool = option(
        default=True, help="Load the file in Keras, if Keras is installed, and compare the outputs."
    )


@hookimpl
def toolkit_exporters() -> Iterable[Exporter]:
    """The same two, to convert one into the other."""
    for name, summary in (("h5", "Keras HDF5, for Keras 2 and 3"), ("keras", "Keras archive, for Keras 3")):
        export = partial(lazy("toolkit_keras.export:export"), name)
        yield Exporter(name=name, summary=summary, suffix=f".{name}", export=export, options=KerasOptions)
