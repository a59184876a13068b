"""One trained network as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.model.card import Card
from toolkit.model.tensors import Tensors
from toolkit.model.topology import Topology

if TYPE_CHECKING:
    from toolkit.model.graph import Graph


@dataclass(frozen=True, slots=True)
class Model:
    """Tensors, topology and card of one network.

    Attributes:
        topology: How the tensors are wired.
        tensors: Read when they are asked for.
        card: What is known of it; an empty card where nothing is.
        build_graph: Makes the graph from the topology; reads no tensor. Raises UnsupportedError,
            naming the layers that are not known and those that are.
        path: Where it was read from; None for a model that is only in memory.
        dropped: What the file holds that the model leaves out, such as the optimizer's state.
    """

    topology: Topology
    tensors: Tensors
    card: Card
    build_graph: Callable[[], Graph]
    path: Path | None = None
    dropped: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's name, or the card's."""
        return self.path.name if self.path is not None else self.card.name

    def with_tensors(self, tensors: Tensors) -> Model:
        """The same network with other tensors; they bear the same names and shapes."""
        return dataclasses.replace(self, tensors=tensors, path=None, dropped=())

    def with_card(self, card: Card) -> Model:
        """The same network with another card."""
        return dataclasses.replace(self, card=card)
