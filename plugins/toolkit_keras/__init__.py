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
    """Keras' two formats of whole models; the first also has files of weights."""
    yield ModelFormat(
        name="h5",
        summary="Keras HDF5: a whole model, or weights only",
        suffixes=(".h5", ".hdf5"),
        read=lazy("toolkit_keras.read_h5:read_h5"),
        write=lazy("toolkit_keras.write_h5:write_h5"),
        dialects=("keras",),
        recognises=lazy("toolkit_keras.keras_content:is_hdf5"),
        read_weights=lazy("toolkit_keras.read_h5:read_h5_weights"),
        describe=lazy("toolkit_keras.describe:describe"),
    )
    yield ModelFormat(
        name="keras",
        summary="Keras archive",
        suffixes=(".keras",),
        read=lazy("toolkit_keras.read_keras:read_keras"),
        write=lazy("toolkit_keras.write_keras:write_keras"),
        dialects=("keras",),
        recognises=lazy("toolkit_keras.keras_content:is_archive"),
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
