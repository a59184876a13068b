"""A graph that is being changed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.graph.graph import Graph, Node
from toolkit.graph.walking import ancestors
from toolkit.tensors import Tensors

_SHOWN = 1 << 10  # elements; constants that shapes are computed from are shorter


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

    def rename(self, names: dict[str, str]) -> None:
        """Give inputs and outputs other names."""
        self.inputs = [names.get(name, name) for name in self.inputs]
        self.outputs = [names.get(name, name) for name in self.outputs]


class EditableGraph:
    """The nodes and constants of a network, with every tensor of the model as a constant.

    Args:
        graph: Of a network that can be run; not changed.
        tensors: Read once, rearranged and made float32.
    """

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
        self._shapes: dict[str, tuple[int | None, ...]] | None = None
        self._added_shapes: dict[str, tuple[int | None, ...]] = {}

    def shape(self, value: str) -> tuple[int | None, ...] | None:
        """Axes of a value, batch included; None if they do not follow from the graph."""
        if self._shapes is None:
            from toolkit.graph.onnx_form import inferred_shapes

            self._shapes = inferred_shapes(*self._without_weights())
        return self._added_shapes.get(value, self._shapes.get(value))

    def _without_weights(self) -> tuple[Graph, dict[str, tuple[int, ...]]]:
        # ONNX' inference of shapes serializes everything that it is given.
        graph = self.finished()
        weights = {
            name: array.shape
            for name, array in self.constants.items()
            if array.dtype == np.float32 and array.size > _SHOWN
        }
        shown = {name: array for name, array in graph.constants.items() if name not in weights}
        return dataclasses.replace(graph, constants=shown), weights

    def set_shape(self, value: str, shape: tuple[int | None, ...]) -> None:
        """Tell the axes of a value that the graph did not have before."""
        self._added_shapes[value] = shape

    def place(self, node: EditableNode) -> int:
        """Index of a node in the order of nodes."""
        return self.nodes.index(node)

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

    def remove(self, node: EditableNode) -> None:
        """Remove a node that nothing uses any more."""
        self.nodes.remove(node)

    def bypass(self, node: EditableNode) -> None:
        """Remove a node whose first output equals its first input."""
        source, value = node.inputs[0], node.outputs[0]
        self.remove(node)
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
        for node in self.nodes:
            node.rename(names)
        self.constants = {names.get(name, name): array for name, array in self.constants.items()}
        self.input, self.output = names.get(self.input, self.input), names.get(self.output, self.output)

    def replace_constant(self, node: EditableNode, place: int, array: NDArray[Any]) -> None:
        """Give one node another constant; other nodes that use the old one keep it."""
        name = node.inputs[place]
        if len(self.users(name)) > 1 or name == self.output:
            name = self.unused_name(f"{name}/folded")
            node.inputs[place] = name
        self.constants[name] = np.ascontiguousarray(array)

    def unused_name(self, wanted: str) -> str:
        """A name that no value has."""
        taken = {*self.constants, self.input, *(name for node in self.nodes for name in node.outputs)}
        name, number = wanted, 2
        while name in taken:
            name, number = f"{wanted}_{number}", number + 1
        return name

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
