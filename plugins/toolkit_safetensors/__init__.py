"""Files in the safetensors format: named arrays with their metadata, read and written as data."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit import hookimpl
from toolkit.types import Exporter, ModelFormat, lazy


@hookimpl
def toolkit_model_formats() -> Iterable[ModelFormat]:
    """The format, which has weights and no architecture."""
    yield ModelFormat(
        name="safetensors",
        summary="safetensors: weights; with the architecture of a Keras model if this toolkit wrote it",
        suffixes=(".safetensors",),
        read=lazy("toolkit_safetensors.read_safetensors:read"),
        write=lazy("toolkit_safetensors.write_safetensors:write"),
        recognises=lazy("toolkit_safetensors.safetensors_header:is_safetensors"),
        read_weights=lazy("toolkit_safetensors.read_safetensors:read_weights"),
    )


@hookimpl
def toolkit_exporters() -> Iterable[Exporter]:
    """Any model's weights in it."""
    yield Exporter(
        name="safetensors",
        summary="safetensors: weights, card, and the architecture of a Keras model",
        suffix=".safetensors",
        export=lazy("toolkit_safetensors.write_safetensors:export"),
    )
