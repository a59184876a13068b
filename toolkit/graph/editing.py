"""A graph that is being changed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.graph.graph import Graph, Node, unused_name
from toolkit.graph.walking import ancestors
from toolkit.tensors import Tensors

_LARGE = 1 << 10  # elements; constants that shapes are computed from are shorter


@dataclass(slots=True, eq=False)
class EditableNode:
    """A :class:`~toolkit.graph.Node` whose parts can be changed."""

    operator: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    layer: str = ""
    domain: str = ""

    @classmethod
    def of(cls, node: Node) -> EditableNode:
        """A copy of a node."""
        parts = list(node.inputs), list(node.outputs), dict(node.attributes)
        return cls(node.operator, *parts, node.name, node.layer, node.domain)

    def frozen(self) -> Node:
        """The node as it is now."""
        parts = tuple(self.inputs), tuple(self.outputs), dict(self.attributes)
        return Node(self.operator, *parts, self.name, self.layer, self.domain)


class EditableGraph:
    """The nodes and constants of a network, with every tensor of the model as a float32 constant."""

    def __init__(self, graph: Graph, tensors: Tensors) -> None:
        graph.require_runnable()
        self._graph = graph
        self.nodes = [EditableNode.of(node) for node in graph.nodes]
        self.constants: dict[str, NDArray[Any]] = dict(graph.constants)
        for binding in graph.bindings:
            array = binding.rearrangement.apply(tensors.read(binding.tensor))
            self.constants[binding.tensor] = np.ascontiguousarray(array, dtype=np.float32)
        self.input = graph.input
        self.output = graph.output

    @cached_property
    def _shapes(self) -> dict[str, tuple[int | None, ...]]:
        from toolkit.graph.onnx_form import inferred_shapes

        # Of weights the shapes are enough; as constants, they would be copied.
        graph = self.finished()
        weights = {
            name: a.shape for name, a in graph.constants.items() if a.dtype == np.float32 and a.size > 1
        }
        small = {name: array for name, array in graph.constants.items() if name not in weights}
        return inferred_shapes(dataclasses.replace(graph, constants=small), weights)

    def shape(self, value: str) -> tuple[int | None, ...] | None:
        """Axes of a value, batch included; None if they do not follow from the graph."""
        return self._shapes.get(value)

    def set_shape(self, value: str, shape: tuple[int | None, ...]) -> None:
        """Set the axes of a value that the graph did not have before."""
        self._shapes[value] = shape

    def producer(self, value: str) -> EditableNode | None:
        """The node that makes a value; None for the input and constants."""
        return next((node for node in self.nodes if value in node.outputs), None)

    def users(self, value: str) -> list[EditableNode]:
        """The nodes that use a value, once for each time."""
        return [node for node in self.nodes for name in node.inputs if name == value]

    def only_user(self, value: str) -> EditableNode | None:
        """The node that uses a value, if nothing else does and it is not the output."""
        users = self.users(value)
        return users[0] if len(users) == 1 and value != self.output else None

    def bypass(self, node: EditableNode) -> None:
        """Remove a node whose first output equals its first input."""
        source, value = node.inputs[0], node.outputs[0]
        self.nodes.remove(node)
        if value != self.output:
            self._rename_uses({value: source})
            return
        producer = self.producer(source)
        if producer is None:  # the output is the input or a constant: some node must make it
            self.nodes.append(EditableNode("Identity", [source], [value]))
            return
        producer.outputs = [value if name == source else name for name in producer.outputs]
        self._rename_uses({source: value})

    def _rename_uses(self, names: dict[str, str]) -> None:
        for node in self.nodes:
            node.inputs = [names.get(name, name) for name in node.inputs]

    def rename(self, names: dict[str, str]) -> None:
        """Give values and constants other names."""
        self._rename_uses(names)
        for node in self.nodes:
            node.outputs = [names.get(name, name) for name in node.outputs]
        self.constants = {names.get(name, name): array for name, array in self.constants.items()}
        self.input, self.output = names.get(self.input, self.input), names.get(self.output, self.output)

    def replace_constant(self, node: EditableNode, place: int, array: NDArray[Any]) -> None:
        """Give one node another constant; other nodes that use the old one keep it."""
        name = node.inputs[place]
        if len(self.users(name)) > 1 or name == self.output:
            name = node.inputs[place] = self.unused_name(f"{name}/folded")
        self.constants[name] = np.ascontiguousarray(array)

    def add_constant(self, wanted: str, array: ArrayLike) -> str:
        """Add a constant, and return the name that it has."""
        name = self.unused_name(wanted)
        self.constants[name] = np.asarray(array)
        return name

    def unused_name(self, wanted: str) -> str:
        """A name that no value has."""
        made = (name for node in self.nodes for name in node.outputs)
        return unused_name(wanted, {*self.constants, self.input, *made})

    def drop_unused(self) -> None:
        """Remove nodes and constants that the output does not depend on."""
        used = {node.outputs[0] for node in ancestors([node.frozen() for node in self.nodes], [self.output])}
        self.nodes = [node for node in self.nodes if node.outputs[0] in used]
        wanted = {self.output, *(name for node in self.nodes for name in node.inputs)}
        self.constants = {name: array for name, array in self.constants.items() if name in wanted}

    def finished(self) -> Graph:
        """The graph as it is now, its weights as constants in the order in which they are used."""
        used = dict.fromkeys((*(name for node in self.nodes for name in node.inputs), self.output))
        return dataclasses.replace(
            self._graph,
            nodes=tuple(node.frozen() for node in self.nodes),
            constants={name: self.constants[name] for name in used if name in self.constants},
            bindings=(),
            input=self.input,
            output=self.output,
        )
