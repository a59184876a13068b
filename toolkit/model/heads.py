"""The outputs of a network: fewer of them, or in another order."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UnsupportedError, UsageError
from toolkit.graph import Binding, Graph, Node, consumers, node_key, producers
from toolkit.graph.axes import BROADCAST, RESHAPES, SAME_PLACE
from toolkit.graph.channels import Channels, Layout, Segment, Shape, regrouped
from toolkit.model.keras_description import resized_description
from toolkit.model.model import Model
from toolkit.tensors import Tensors, TensorSpec

_POOLS = {"AveragePool", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool", "MaxPool"}
_NORMALISED = {"LogSoftmax", "Softmax"}


def take_outputs(model: Model, order: Sequence[int]) -> Model:
    """The same network with some of its outputs only, in the order given.

    The head is found in the graph: the dense layer, matrix product or convolution that makes the
    outputs, seen through activations, sums, products, pooling, flattening and batch normalisation.
    Its kernel and bias are sliced when they are read. Outputs that are logits or sigmoids keep their
    values. If outputs of a final softmax are dropped, the other probabilities are those of the
    original divided by their sum.

    Args:
        order: Indices of outputs, each at most once: output ``i`` of the result is output ``order[i]``.

    Returns:
        A model with the same name, classes in the new order, and a Keras description with the new
        sizes; the card has no weights digest.

    Raises:
        UsageError: If an index is not an output, or is given twice.
        UnsupportedError: If the outputs are not made in one of these ways.
    """
    count = model.classes
    if not order or len(set(order)) < len(order) or not all(0 <= index < count for index in order):
        raise UsageError(
            f"{model.name}: outputs {', '.join(map(str, order)) or 'none'} of {count}",
            hint=f"name outputs from 0 to {count - 1}, each at most once",
        )
    if list(order) == list(range(count)):
        return model
    graph, specs = model.build_graph(), model.tensors.specs
    walk = _Walk(model.name, graph, specs, _shapes(graph, specs), np.asarray(order, np.intp))
    walk.visit(graph.output, len(graph.output_shape), None)
    walk.check()
    tensors = TakenTensors(model.tensors, walk.slices(), order)
    taken = _taken_graph(graph, walk, len(order))
    description = model.description
    if model.dialect == "keras":
        sizes = count, len(order)
        description = resized_description(description, tensors.specs, walk.layers, sizes)
    classes = tuple(model.card.classes[index] for index in order) if model.card.classes else ()
    return dataclasses.replace(
        model,
        tensors=tensors,
        card=dataclasses.replace(model.card, classes=classes, weights_digest=""),
        describe_graph=lambda: taken,
        output_shape=taken.output_shape,
        description=description,
        layers=tuple(
            dataclasses.replace(layer, tensors=tuple(tensors.specs[spec.name] for spec in layer.tensors))
            for layer in model.layers
        ),
    )


def without_unused(model: Model) -> Model:
    """The network without the outputs that stand for no class: those named "" in its card.

    Networks with 27 outputs on Letters, whose labels begin at 1, have one at index 0.
    """
    used = [index for index, name in enumerate(model.card.classes) if name]
    return model if len(used) in (0, len(model.card.classes)) else take_outputs(model, used)


class TakenTensors(Tensors):
    """Tensors of which some have only a part of the elements along one axis, taken when they are read.

    Args:
        axes: The axis by tensor.
        order: Indices along these axes.
    """

    def __init__(self, below: Tensors, axes: Mapping[str, int], order: Sequence[int]) -> None:
        self._below = below
        self._axes = dict(axes)
        self._order = np.asarray(order, np.intp)
        specs = dict(below.specs)
        for name, axis in axes.items():
            shape = specs[name].shape
            resized = (*shape[:axis], len(order), *shape[axis + 1 :])
            specs[name] = dataclasses.replace(specs[name], shape=resized)
        self.specs = specs

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor; only those with an axis are copied."""
        array, axis = self._below.read(name), self._axes.get(name)
        return array if axis is None else np.ascontiguousarray(np.take(array, self._order, axis=axis))


def _shapes(graph: Graph, specs: Mapping[str, TensorSpec]) -> Mapping[str, Shape]:
    from toolkit.graph.onnx_form import inferred_shapes

    initializers = {
        binding.tensor: binding.rearrangement.shape(specs[binding.tensor].shape) for binding in graph.bindings
    }
    return {**inferred_shapes(graph, initializers), **initializers}


@dataclass
class _Walk:
    """Follows the axis of the outputs up to the tensors that make it."""

    name: str
    graph: Graph
    specs: Mapping[str, TensorSpec]
    shapes: Mapping[str, Shape]
    order: NDArray[np.intp]
    values: dict[str, int] = field(default_factory=dict)
    """The axis, batch included, of every value that gets fewer elements."""
    initializers: dict[str, int] = field(default_factory=dict)
    """The same axis of bound tensors, in the graph's form, and of constants."""
    targets: dict[str, int] = field(default_factory=dict)
    """Constant shapes of Reshape nodes, and the place of the number of outputs in them."""
    nodes: dict[str, Node] = field(default_factory=dict)
    _uses: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._made_by = producers(self.graph.nodes)
        self._bindings = {binding.tensor: binding for binding in self.graph.bindings}

    @property
    def layers(self) -> set[str]:
        """The layers that were visited."""
        return {node.layer for node in self.nodes.values()}

    def visit(self, value: str, axis: int, user: Node | None) -> None:
        """Note that a value gets fewer elements along an axis, and follow what it is made of."""
        if value in self._bindings or value in self.graph.constants:
            self._cut(value, axis, user)
            return
        self._note(value, user)
        if self.values.setdefault(value, axis) != axis:
            self.refuse(value)
        node = self._made_by.get(value)
        if node is None:
            self.refuse(value)
        if node_key(node) not in self.nodes:
            self.nodes[node_key(node)] = node
            self._follow(node, axis)

    def _follow(self, node: Node, axis: int) -> None:
        operator = f"{node.domain}.{node.operator}" if node.domain else node.operator
        if operator in _NORMALISED and self._normalises(node, axis):
            if len(self.order) != self._shape(node.outputs[0])[axis] and not self._is_last(node):
                self.refuse_node(node, "another operation follows the softmax")
            self.visit(node.inputs[0], axis, node)
        elif operator in SAME_PLACE:
            self.visit(node.inputs[0], axis, node)
        elif operator in BROADCAST:
            rank = len(self._shape(node.outputs[0]))
            for value in node.inputs:
                shape = self._shape(value)
                own = axis - rank + len(shape)
                if own >= 0 and shape[own] != 1:
                    self.visit(value, own, node)
        elif operator in ("Gemm", "MatMul"):
            self._dense(node, axis)
        elif operator in ("Conv", "ConvTranspose") and axis == 1 and node.attributes.get("group", 1) == 1:
            self._cut(node.inputs[1], int(operator == "ConvTranspose"), node)
            for bias in filter(None, node.inputs[2:]):
                self._cut(bias, 0, node)
        elif operator == "BatchNormalization" and axis == 1:
            for statistic in node.inputs[1:5]:
                self._cut(statistic, 0, node)
            self.visit(node.inputs[0], 1, node)
        elif operator in _POOLS and axis == 1:
            self.visit(node.inputs[0], 1, node)
        elif operator == "Transpose":
            perm = node.attributes.get("perm", tuple(reversed(range(len(self._shape(node.outputs[0]))))))
            self.visit(node.inputs[0], perm[axis], node)
        elif operator in RESHAPES:
            self._reshape(node, axis)
        elif operator.startswith("Reduce"):
            self._reduction(node, axis)
        else:
            self.refuse_node(node)

    def _dense(self, node: Node, axis: int) -> None:
        kernel = node.inputs[1]
        if len(self._shape(kernel)) != 2 or axis != len(self._shape(node.outputs[0])) - 1:
            self.refuse_node(node)
        self._cut(kernel, 0 if node.attributes.get("transB") else 1, node)
        for bias in filter(None, node.inputs[2:]):
            shape = self._shape(bias)
            if shape and shape[-1] != 1:
                self._cut(bias, len(shape) - 1, node)

    def _reshape(self, node: Node, axis: int) -> None:
        before, after = self._shape(node.inputs[0]), self._shape(node.outputs[0])
        count = after[axis] or 0
        for place in range(1, len(before)):
            moved = None
            if before[place] == count:
                moved = regrouped(Channels(place, Layout((Segment(0, count),))), before, after)
            if moved is not None and (moved.axis, moved.layout.outer, moved.layout.inner) == (axis, 1, 1):
                break
        else:
            self.refuse_node(node)
        target = self.graph.constants.get(node.inputs[1]) if node.operator == "Reshape" else None
        if node.operator == "Reshape" and target is None:
            self.refuse_node(node)
        if target is not None and target[axis] == count:
            self.targets[node.inputs[1]] = axis
            self._note(node.inputs[1], node)
        self.visit(node.inputs[0], place, node)

    def _reduction(self, node: Node, axis: int) -> None:
        rank = len(self._shape(node.inputs[0]))
        axes = node.attributes.get("axes")
        if axes is None and len(node.inputs) > 1:
            axes = self.graph.constants.get(node.inputs[1], np.empty(0)).tolist()
        if not axes:
            self.refuse_node(node)
        reduced = {int(each) % rank for each in axes}
        kept = [each for each in range(rank) if each not in reduced]
        own = axis if node.attributes.get("keepdims", 1) else kept[axis]
        if own in reduced:
            self.refuse_node(node)
        self.visit(node.inputs[0], own, node)

    def _note(self, value: str, user: Node | None) -> None:
        if user is not None:
            self._uses.add((node_key(user), value))

    def _cut(self, initializer: str, axis: int, user: Node | None) -> None:
        self._note(initializer, user)
        if initializer not in self._bindings and initializer not in self.graph.constants:
            self.refuse(initializer)
        if self.initializers.setdefault(initializer, axis) != axis:
            self.refuse(initializer)

    def _normalises(self, node: Node, axis: int) -> bool:
        """Whether a softmax goes along the axis of the outputs."""
        return bool(node.attributes.get("axis", -1) % len(self._shape(node.outputs[0])) == axis)

    def _is_last(self, node: Node) -> bool:
        """Whether nothing but changes of shape follows."""
        value, users = node.outputs[0], consumers(self.graph.nodes)
        while value != self.graph.output:
            (use, *others) = users[value]
            if others or use.node.operator not in RESHAPES | {"Identity", "Transpose"}:
                return False
            value = use.node.outputs[0]
        return True

    def check(self) -> None:
        """Refuse if anything that changes is used elsewhere."""
        changed = {*self.values, *self.initializers, *self.targets}
        for node in self.graph.nodes:
            for value in changed.intersection(node.inputs):
                if (node_key(node), value) not in self._uses:
                    self.refuse(value)

    def slices(self) -> dict[str, int]:
        """The axis of each stored tensor."""
        return {
            name: self._stored(name, axis)[0]
            for name, axis in self.initializers.items()
            if name in self._bindings
        }

    def binding(self, name: str) -> Binding:
        """The binding of a tensor after it was sliced."""
        return Binding(name, self._stored(name, self.initializers[name])[1])

    def _stored(self, name: str, axis: int) -> tuple[int, Any]:
        try:
            return self._bindings[name].rearrangement.resized(axis, len(self.order))
        except ValueError:
            self.refuse(name)

    def _shape(self, value: str) -> Shape:
        if value not in self.shapes:
            self.refuse(value)
        return self.shapes[value]

    def refuse_node(self, node: Node, why: str = "") -> NoReturn:
        """Refuse because of a node."""
        what = why or f"they are made by {node.operator}"
        raise UnsupportedError(
            f"{self.name}: the outputs cannot be taken apart: {what} (layer {node.layer or node.outputs[0]})",
            hint="supported: a dense layer or convolution whose outputs are the network's",
        )

    def refuse(self, value: str) -> NoReturn:
        """Refuse because of a value or tensor."""
        raise UnsupportedError(
            f"{self.name}: the outputs cannot be taken apart: {value} is used for something else",
            hint="supported: a dense layer or convolution whose outputs are the network's",
        )


def _taken_graph(graph: Graph, walk: _Walk, count: int) -> Graph:
    constants = dict(graph.constants)
    for name in walk.initializers.keys() & constants.keys():
        constants[name] = np.take(constants[name], walk.order, axis=walk.initializers[name])
    for name, place in walk.targets.items():
        constants[name] = np.where(np.arange(constants[name].size) == place, count, constants[name])
    return dataclasses.replace(
        graph,
        constants=constants,
        bindings=tuple(
            walk.binding(binding.tensor) if binding.tensor in walk.initializers else binding
            for binding in graph.bindings
        ),
        output_shape=(*graph.output_shape[:-1], count),
    )
