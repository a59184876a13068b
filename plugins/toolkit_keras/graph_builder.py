"""Values of a growing graph, and the order of their axes.

Keras counts axes with channels last, the graph computes with channels first. A value therefore
knows both: the shape that Keras sees, and the order of the axes in the graph. A Permute, or a
Flatten after a convolution, then costs nothing: the first only renames axes, the second gives an
order of elements that the next Dense kernel's rows are rearranged to.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.graph import AS_STORED, Binding, Node, Permute, Rearrangement, Reshape, unused_name
from toolkit.records import dataclass
from toolkit.tensors import TensorSpec
from toolkit_keras.layer_config import LayerConfig

KERAS_DOMAIN = "keras"
"""Of nodes that are Keras layers without an ONNX form."""


@dataclass(frozen=True)
class Value:
    """One value in the graph.

    Attributes:
        shape: As Keras has it, without the batch.
        axes: The graph's axis ``i + 1`` is Keras' ``axes[i] + 1``.
        order: Of a flat value: from Keras' order of elements to the graph's; None if they agree.
        unfolded: Of a flat value with an order: the value that was flattened, if it was one value.
        known: Whether its shape is known; False after a layer without an ONNX form.
    """

    name: str
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    order: Rearrangement | None = None
    unfolded: Value | None = None
    known: bool = True

    @property
    def rank(self) -> int:
        """Number of axes without the batch."""
        return len(self.shape)

    @property
    def graph_shape(self) -> tuple[int, ...]:
        """Sizes in the graph, without the batch."""
        return tuple(self.shape[axis] for axis in self.axes)

    def place(self, axis: int) -> int:
        """The graph's axis, batch included, for one of Keras' without the batch."""
        return self.axes.index(axis % self.rank) + 1

    def broadcasting(self, kept: tuple[int, ...]) -> Rearrangement:
        """From one number for each element along some of Keras' axes to what broadcasts over the value."""
        places = [axis for axis in self.axes if axis in kept]
        spread = tuple(self.shape[axis] if axis in kept else 1 for axis in self.axes)
        moved = Permute(tuple(kept.index(axis) for axis in places))
        return Rearrangement((moved, Reshape(tuple(self.shape[axis] for axis in places), spread)))


def plain(name: str, shape: tuple[int, ...]) -> Value:
    """A value with the axes in Keras' order."""
    return Value(name, shape, tuple(range(len(shape))))


@dataclasses.dataclass(slots=True)
class GraphBuilder:
    """Collects nodes, constants and bindings; ``names`` begins with those of the tensors."""

    names: set[str]
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)
    bindings: dict[str, Binding] = field(default_factory=dict)

    def name(self, wanted: str) -> str:
        """A name that is not used in the graph yet."""
        found = unused_name(wanted, self.names)
        self.names.add(found)
        return found

    def add(self, node: Node, wanted: str) -> str:
        """Add a node with one output, which is named here, and return the output's name."""
        output = self.name(wanted)
        self.nodes.append(replace(node, outputs=(output,), name=output))
        return output


@dataclass(frozen=True)
class LayerBuilder:
    """Adds one call of a layer to the graph.

    The tensors of a ``repeated`` layer, which is called elsewhere too, must keep the file's order
    whatever the inputs are.
    """

    graph: GraphBuilder
    config: LayerConfig
    inputs: tuple[Value, ...]
    tensors: Mapping[str, TensorSpec]
    output_shape: tuple[int, ...]
    repeated: bool

    @property
    def input(self) -> Value:
        """The first input."""
        return self.inputs[0]

    def ordered_input(self) -> Value:
        """The first input, in Keras' order if the layer's tensors must keep the file's."""
        return as_keras(self, self.input) if self.repeated else self.input

    def images(self) -> Value:
        """The first input, with its channels before height and width."""
        return channels_first(self, self.input, self.config.channel_axis)

    def add(self, operator: str, *inputs: str, part: str = "", **attributes: Any) -> str:
        """Add a node whose output has the layer's name, or that of a part of it."""
        node = Node(operator, inputs, (), attributes, layer=self.config.layer)
        return self.graph.add(node, f"{self.config.layer}/{part}" if part else self.config.layer)

    def constant(self, array: ArrayLike, part: str, dtype: type = np.float32) -> str:
        """Add a constant of the layer's own."""
        name = self.graph.name(f"{self.config.layer}/{part}")
        self.graph.constants[name] = np.asarray(array, dtype=dtype)
        return name

    def whole_numbers(self, numbers: ArrayLike, part: str) -> str:
        """Add an int64 constant."""
        return self.constant(numbers, part, np.int64)

    def tensor(self, weight: str, rearrangement: Rearrangement | None = None) -> str:
        """Bind one of the layer's tensors; once if the layer is called again."""
        name = self.tensors[weight].name
        self.graph.bindings.setdefault(name, Binding(name, rearrangement or AS_STORED))
        return name

    def optional(self, weight: str, rearrangement: Rearrangement | None = None) -> tuple[str, ...]:
        """Bind a tensor if the layer has it."""
        return (self.tensor(weight, rearrangement),) if weight in self.tensors else ()

    def tensor_or(
        self, default: float, weight: str, size: tuple[int, ...], order: Rearrangement | None
    ) -> str:
        """Bind a tensor, or add a constant if the layer is configured without it."""
        if weight in self.tensors:
            return self.tensor(weight, order)
        return self.constant(np.full(size, default), weight)


def lay(builder: LayerBuilder, value: Value, axes: tuple[int, ...]) -> Value:
    """The value with its axes in another order; adds nothing if they are in that order already."""
    if value.axes == axes and value.order is None:
        return value
    if value.order is not None:
        return lay(builder, _in_order(builder, value), axes)
    sizes = tuple(value.shape[axis] for axis in axes)
    moved = replace(value, axes=axes)
    if [a for a in value.axes if value.shape[a] != 1] == [a for a in axes if value.shape[a] != 1]:
        shape = builder.whole_numbers((0, *sizes), "shape")
        return replace(moved, name=builder.add("Reshape", value.name, shape, part="layout"))
    permutation = (0, *(value.axes.index(axis) + 1 for axis in axes))
    return replace(moved, name=builder.add("Transpose", value.name, part="layout", perm=permutation))


def as_keras(builder: LayerBuilder, value: Value) -> Value:
    """The value with Keras' order of axes and elements."""
    return lay(builder, value, tuple(range(value.rank)))


def channels_first(builder: LayerBuilder, value: Value, axis: int) -> Value:
    """The value with one of Keras' axes before all others, which keep their order."""
    axis %= value.rank
    return lay(builder, value, (axis, *(other for other in range(value.rank) if other != axis)))


def flattened(builder: LayerBuilder, value: Value) -> Value:
    """The value as one axis; no element moves, the value knows their order."""
    size = math.prod(value.shape)
    if value.rank == 1:
        return value
    name = builder.add("Flatten", value.name, axis=1)
    moving = [axis for axis in value.axes if value.shape[axis] != 1]
    if moving == sorted(moving):
        return plain(name, (size,))
    order = Rearrangement(
        (Reshape((size,), value.shape), Permute(value.axes), Reshape(value.graph_shape, (size,)))
    )
    return Value(name, (size,), (0,), order=order, unfolded=value)


def _in_order(builder: LayerBuilder, value: Value) -> Value:
    """A flat value with its elements in Keras' order."""
    assert value.order is not None
    if value.unfolded is not None:
        before = value.unfolded
        shape = builder.whole_numbers((0, *before.graph_shape), "unfolded")
        unfolded = replace(before, name=builder.add("Reshape", value.name, shape, part="unfold"))
        name = builder.add("Flatten", as_keras(builder, unfolded).name, part="fold", axis=1)
    else:
        indices = builder.whole_numbers(value.order.inverse(np.arange(value.shape[0])), "order")
        name = builder.add("Gather", value.name, indices, part="ordered", axis=1)
    return plain(name, value.shape)


def elementwise(value: Value, name: str) -> Value:
    """The result of an operation on each element: its axes are its input's."""
    return replace(value, name=name)
