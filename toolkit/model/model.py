"""One trained network as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from toolkit.graph import Graph
from toolkit.model.card import Card
from toolkit.records import dataclass
from toolkit.tensors import Tensors, TensorSpec


@dataclass(frozen=True)
class Layer:
    """One layer, for lists that people read; the graph says how layers are connected.

    Attributes:
        name: Unique in its model; a nested model's name comes before its layers' names.
        kind: The framework's name of the operation, such as ``Conv2D``.
    """

    name: str
    kind: str
    tensors: tuple[TensorSpec, ...] = ()


@dataclass(frozen=True)
class Model:
    """Tensors, graph and card of one network.

    Attributes:
        describe_graph: Makes the graph; reads no tensor. Layers without an ONNX form are nodes of it
            too, so that models can be compared that cannot be run.
        input_shape: Without the batch axis, as the file has it: (28, 28, 1) or (1, 28, 28).
        output_shape: Without the batch axis: (62,); empty if it does not follow from the layers.
        dialect: Which description of the network the model keeps: ``keras`` or ``onnx``.
        description: The dialect's own description, as JSON values, to write the model back: a Keras
            model's config ``{"class_name", "config", …}``; empty for ONNX.
        layers: In the file's order.
        path: The file that it was read from; None for a model that is only in memory.
        dropped: Parts of the file that the model leaves out, such as the optimizer's state.
    """

    tensors: Tensors
    card: Card
    describe_graph: Callable[[], Graph]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    dialect: str = "keras"
    description: Mapping[str, Any] = field(default_factory=dict)
    layers: tuple[Layer, ...] = ()
    path: Path | None = None
    dropped: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's name, or the card's."""
        return self.path.name if self.path is not None else self.card.name

    @property
    def classes(self) -> int:
        """Number of outputs; 0 if it is not known."""
        return self.output_shape[-1] if self.output_shape else 0

    @property
    def parameters(self) -> int:
        """Number of float elements, running statistics included."""
        return sum(spec.size for spec in self.tensors.specs.values() if spec.is_float)

    def build_graph(self) -> Graph:
        """The graph, to run it; UnsupportedError if a layer has no ONNX form."""
        graph = self.describe_graph()
        graph.require_runnable()
        return graph

    def with_tensors(self, tensors: Tensors) -> Model:
        """The same network with other tensors of the same names and shapes."""
        return dataclasses.replace(self, tensors=tensors, path=None, dropped=())

    def with_card(self, card: Card) -> Model:
        """The same network with another card."""
        return dataclasses.replace(self, card=card)
