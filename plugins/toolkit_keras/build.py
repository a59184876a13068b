"""From an architecture and stored tensors to a :class:`Model`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UnreadableInputError, naming
from toolkit.graph import Graph
from toolkit.model import Card, Layer, Model, parse_card
from toolkit.records import dataclass
from toolkit.store.byte_source import ByteSource
from toolkit.tensors import TensorRole, Tensors, TensorSpec
from toolkit_keras.architecture import KerasArchitecture
from toolkit_keras.safe_hdf5 import SafeHdf5, Stored

CARD_ATTRIBUTE = "toolkit_card"
CARD_MEMBER = "toolkit_card.json"


@dataclass(frozen=True)
class KernelForm:
    """How a tensor is stored, if not as today: the kernels of convolutions.

    Attributes:
        rotated: By half a turn in space, as the Theano backend has it.
        filters_first: (filters, channels, height, width), as Keras 1 has it with channels first.
    """

    rotated: bool = False
    filters_first: bool = False

    def shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that it has today."""
        return (*stored[2:], stored[1], stored[0]) if self.filters_first else stored

    def today(self, stored: NDArray[Any]) -> NDArray[Any]:
        """The array as it is today."""
        if self.filters_first:
            stored = np.moveaxis(stored, (0, 1), (-1, -2))
        return stored[(slice(None, None, -1),) * (stored.ndim - 2)] if self.rotated else stored


AS_TODAY = KernelForm()

Placed = tuple[str, TensorRole, Stored, KernelForm]
"""A tensor's name in its layer, its role, its place in the file, and its form there."""


class StoredTensors(Tensors):
    """Tensors in an HDF5 file, each read on request; safe to use from any thread."""

    def __init__(
        self, source: ByteSource, where: str, tensors: Mapping[str, tuple[TensorSpec, Stored, KernelForm]]
    ) -> None:
        self._source = source
        self._where = where
        self._tensors = dict(tensors)
        self.specs = {name: spec for name, (spec, _, _) in tensors.items()}

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor, little endian and contiguous."""
        spec, stored, form = self._tensors[name]
        with naming(self._where):
            if stored.offset is not None:
                array = self._source.read_array(stored.offset, stored.shape, stored.dtype, name)
            elif stored.nbytes == 0:
                array = np.zeros(stored.shape, stored.dtype)
            else:
                with SafeHdf5(self._source) as file:
                    array = file.read(stored)
        if stored.bfloat16:
            array = (array.astype("<u4") << np.uint32(16)).view("<f4")
        return np.ascontiguousarray(form.today(array), dtype=spec.dtype).reshape(spec.shape)


def build_model(
    path: Path,
    source: ByteSource,
    architecture: KerasArchitecture,
    placed: Mapping[str, Iterable[Placed]],
    card: str | bytes | None,
    dropped: list[str],
) -> Model:
    """Put a model together from every layer's tensors by its path, and the embedded card's JSON."""
    specs: dict[str, tuple[TensorSpec, ...]] = {}
    tensors: dict[str, tuple[TensorSpec, Stored, KernelForm]] = {}
    for layer, entries in placed.items():
        for weight, role, stored, form in entries:
            dtype = np.dtype(np.float32) if stored.bfloat16 else stored.dtype.newbyteorder("<")
            spec = TensorSpec(f"{layer}/{weight}", form.shape(stored.shape), dtype, role)
            if spec.name in tensors:
                raise UnreadableInputError(
                    f"two tensors are called {spec.name}", hint="rename one of the layers in Keras"
                )
            tensors[spec.name] = (spec, stored, form)
            specs[layer] = (*specs.get(layer, ()), spec)

    known = Card()
    if card is not None:
        try:
            known = parse_card(card, path.name)
        except UnreadableInputError as error:  # the network can still be used
            dropped.append(f"the embedded card, which cannot be read ({error.message})")
    model = model_of(architecture, StoredTensors(source, path.name, tensors), specs, path.name)
    return replace(model, card=known, path=path, dropped=tuple(dropped))


def model_of(
    architecture: KerasArchitecture,
    tensors: Tensors,
    specs: Mapping[str, tuple[TensorSpec, ...]],
    where: str,
) -> Model:
    """A model without a card, from every layer's tensors by the layer's path."""

    @cache
    def describe_graph() -> Graph:
        from toolkit_keras.graph import build_graph

        with naming(where):
            graph = build_graph(architecture, specs)
        return graph if graph.refusal is None else replace(graph, refusal=graph.refusal.named(where))

    return Model(
        tensors=tensors,
        card=Card(),
        describe_graph=describe_graph,
        input_shape=architecture.input_shape,
        output_shape=architecture.output_shape,
        dialect="keras",
        description=architecture.description,
        layers=tuple(
            Layer(expected.node.name, expected.node.kind, specs.get(expected.node.name, ()))
            for expected in architecture.expected
        ),
    )
