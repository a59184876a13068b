"""One trained network as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.graph.topology import Topology
from toolkit.model.card import Card
from toolkit.tensors.tensors import Tensors

if TYPE_CHECKING:
    from toolkit.graph.graph import Graph


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

    @property
    def dialect(self) -> str:
        """Whose description of the network the model keeps: ``keras`` or ``onnx``."""
        return self.topology.dialect

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch axis: (28, 28, 1) or (1, 28, 28)."""
        return self.topology.input_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of one output, without the batch axis: (62,)."""
        return self.topology.output_shape

    @property
    def classes(self) -> int:
        """Number of outputs."""
        return self.output_shape[-1]

    @property
    def parameters(self) -> int:
        """Number of float elements, running statistics included."""
        return sum(spec.size for spec in self.tensors.specs.values() if spec.is_float)

    def with_tensors(self, tensors: Tensors) -> Model:
        """The same network with other tensors; they bear the same names and shapes."""
        return dataclasses.replace(self, tensors=tensors, path=None, dropped=())

    def with_card(self, card: Card) -> Model:
        """The same network with another card."""
        return dataclasses.replace(self, card=card)
