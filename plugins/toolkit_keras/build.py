"""From wiring and stored tensors to a :class:`Model`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UnreadableInputError
from toolkit.model import Card, Model, parse_card
from toolkit.tensors import TensorRole, Tensors, TensorSpec
from toolkit_keras.assembly import Wiring, spec_of, topology_of
from toolkit_keras.byte_source import Image
from toolkit_keras.naming import naming
from toolkit_keras.network import Network
from toolkit_keras.safe_hdf5 import SafeHdf5, Stored

if TYPE_CHECKING:
    from toolkit.graph.graph import Graph

CARD_ATTRIBUTE = "toolkit_card"
CARD_MEMBER = "toolkit_card.json"

Placed = tuple[str, TensorRole, Stored, bool]
"""A tensor's name in its layer, its role, where it stands, and whether Theano has rotated it."""


class StoredTensors(Tensors):
    """Tensors in an HDF5 file, each read when it is asked for; safe to use from any thread."""

    def __init__(
        self, image: Image, where: str, tensors: Mapping[str, tuple[TensorSpec, Stored, bool]]
    ) -> None:
        self._image = image
        self._where = where
        self._tensors = dict(tensors)
        self._specs = {name: spec for name, (spec, _, _) in tensors.items()}

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Every tensor's specification by name, in layer order."""
        return self._specs

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor, little endian, as one piece."""
        spec, stored, rotated = self._tensors[name]
        if stored.offset is not None:
            what = f"{self._where}: {name}"
            array = self._image.read_array(stored.offset, stored.shape, stored.dtype, what)
        elif stored.nbytes == 0:
            array = np.zeros(stored.shape, stored.dtype)
        else:
            with SafeHdf5(self._image, self._where) as file:
                array = file.read(stored)
        if stored.bfloat16:
            array = (array.astype("<u4") << np.uint32(16)).view("<f4")
        if rotated:
            array = array[::-1, ::-1]
        return np.ascontiguousarray(array, dtype=spec.dtype).reshape(spec.shape)


def build_model(
    path: Path,
    image: Image,
    network: Network,
    wiring: Wiring,
    description: Mapping[str, Any],
    placed: Mapping[str, tuple[Placed, ...]],
    card: str | bytes | None,
    dropped: tuple[str, ...],
) -> Model:
    """Put a model together.

    Args:
        placed: Every layer's tensors, by the layer's path.
        card: The embedded card's JSON, or None.
        dropped: What the file holds besides.
    """
    specs: dict[str, tuple[TensorSpec, ...]] = {}
    tensors: dict[str, tuple[TensorSpec, Stored, bool]] = {}
    for layer, entries in placed.items():
        for weight, role, stored, rotated in entries:
            spec = spec_of(f"{layer}/{weight}", role, stored)
            if spec.name in tensors:
                raise UnreadableInputError(
                    f"{path.name}: two tensors are called {spec.name}",
                    hint="rename one of the layers in Keras",
                )
            tensors[spec.name] = (spec, stored, rotated)
            specs[layer] = (*specs.get(layer, ()), spec)
    topology = topology_of(network, wiring, description, specs)

    def build_graph() -> Graph:
        from toolkit_keras.graph import build_graph as build

        with naming(path.name):
            return build(network, topology)

    known, dropped = _card(card, path.name, dropped)
    return Model(
        topology=topology,
        tensors=StoredTensors(image, path.name, tensors),
        card=known,
        build_graph=build_graph,
        path=path,
        dropped=dropped,
    )


def _card(text: str | bytes | None, where: str, dropped: tuple[str, ...]) -> tuple[Card, tuple[str, ...]]:
    """The embedded card; one that cannot be read is no reason to refuse the network."""
    if text is None:
        return Card(), dropped
    try:
        return parse_card(text, where), dropped
    except UnreadableInputError as error:
        return Card(), (*dropped, f"the embedded card, which cannot be read ({error.message})")
