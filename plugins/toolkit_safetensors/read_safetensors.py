"""Reading safetensors files, each tensor when it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UnreadableInputError, WeightsOnlyError, naming
from toolkit.model import Card, Layer, Model, parse_card
from toolkit.store.byte_source import FileBytes
from toolkit.store.opening import parse_json
from toolkit.store.other_files import require_content
from toolkit.tensors import TensorRole, Tensors, TensorSpec
from toolkit.types import WeightsRequest
from toolkit_safetensors.safetensors_header import (
    ARCHITECTURE,
    CARD,
    DIALECT,
    DTYPES,
    Header,
    StoredTensor,
    is_safetensors,
    read_header,
)
from toolkit_safetensors.stored_names import matched

_FLOAT32 = np.dtype("<f4")


class SafetensorsTensors(Tensors):
    """Tensors in a safetensors file by the names of an architecture; bfloat16 becomes float32, exactly."""

    def __init__(
        self,
        source: FileBytes,
        where: str,
        tensors: Mapping[str, StoredTensor],
        specs: Mapping[str, TensorSpec],
    ) -> None:
        self._source, self._where, self._tensors = source, where, tensors
        self.specs = specs

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor, contiguous."""
        spec, stored = self.specs[name], self._tensors[name]
        with naming(self._where):
            array = self._source.read_array(stored.offset, stored.shape, DTYPES[stored.kind], name)
        if stored.kind == "BF16":
            array = (array.astype("<u4") << np.uint32(16)).view(_FLOAT32)
        return np.asarray(array, dtype=spec.dtype)


def read(path: Path) -> Model:
    """Refuse a file, which has no architecture, with what is known of it.

    Raises:
        WeightsOnlyError: If it is a file of the format; with its architecture if it has one.
    """
    with naming(path.name):
        _, header = _opened(path)
        description = None
        if ARCHITECTURE in header.metadata:
            description = parse_json(header.metadata[ARCHITECTURE], "its architecture")
            if not isinstance(description, dict):
                raise UnreadableInputError("its architecture is not a JSON object", hint="create it again")
        onnx = header.metadata.get(DIALECT) == "onnx"
        raise WeightsOnlyError(
            "a safetensors file holds weights only, without the architecture that they belong to",
            hint="name the .onnx file that it was made from" if onnx else "name its architecture",
            stored={name: tensor.shape for name, tensor in header.tensors.items()},
            description=description,
        )


def read_weights(request: WeightsRequest) -> Model:
    """Read the tensors of an architecture.

    Floats of 16 bits become float32, except in a file that this toolkit wrote: there they stay.
    """
    template, path = request.template, request.path
    wanted = {
        name: spec
        for name, spec in template.tensors.specs.items()
        if spec.role is not TensorRole.GENERATOR_STATE
    }
    with naming(path.name):
        source, header = _opened(path)
        places, left = matched(wanted, header.tensors)
        dropped = [f"unused tensor {name}" for name in left]
        card = _card(header, path, dropped)
    own = DIALECT in header.metadata
    tensors = {name: header.tensors[place] for name, place in places.items()}
    specs = {
        name: replace(spec, shape=tensors[name].shape, dtype=_dtype(tensors[name], own=own))
        for name, spec in wanted.items()
    }
    layers = tuple(
        Layer(layer.name, layer.kind, tuple(specs[spec.name] for spec in layer.tensors if spec.name in specs))
        for layer in template.layers
    )
    return replace(
        template,
        tensors=SafetensorsTensors(source, path.name, tensors, specs),
        card=card,
        layers=layers,
        path=path,
        dropped=tuple(dropped),
    )


def _opened(path: Path) -> tuple[FileBytes, Header]:
    source = FileBytes(path)
    require_content(path, is_safetensors, "a safetensors file")
    return source, read_header(source, path)


def _dtype(tensor: StoredTensor, *, own: bool) -> np.dtype[Any]:
    short = tensor.kind == "BF16" or (tensor.kind == "F16" and not own)
    return _FLOAT32 if short else DTYPES[tensor.kind]


def _card(header: Header, path: Path, dropped: list[str]) -> Card:
    try:
        return parse_card(header.metadata[CARD], path.name) if CARD in header.metadata else Card()
    except UnreadableInputError as error:  # the weights can still be used
        dropped.append(f"the embedded card, which cannot be read ({error.message})")
        return Card()
