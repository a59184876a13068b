"""Values of a growing ONNX graph, and how their axes lie.

Keras counts axes its own way (channels last), the graph computes in another (channels first).
A value therefore knows both: the shape that Keras sees, and the order in which the axes really
lie. A Permute, or a Flatten after a convolution, then costs nothing: the one is a renaming of
axes, the other a known disorder of elements which the next Dense kernel's rows take up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UnsupportedError
from toolkit_keras.settings import Settings

Arrange = Callable[[NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Value:
    """One tensor in the graph.

    Attributes:
        name: In the graph.
        shape: As Keras has it, without the batch.
        axes: Which of Keras' axes lies where: the graph's axis ``i + 1`` is Keras' ``axes[i] + 1``.
        order: Of a flat value: the graph's element ``i`` is Keras' ``order[i]``; None where they agree.
        unfolded: Of a flat value with an order: the value that was flattened.
        probabilities: Whether it comes out of a softmax along its last axis.
    """

    name: str
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    order: NDArray[np.intp] | None = None
    unfolded: Value | None = None
    probabilities: bool = False

    @property
    def rank(self) -> int:
        """Number of axes without the batch."""
        return len(self.shape)

    @property
    def graph_shape(self) -> tuple[int, ...]:
        """Sizes as they lie in the graph, without the batch."""
        return tuple(self.shape[axis] for axis in self.axes)

    def place(self, axis: int) -> int:
        """Where Keras' axis (without the batch) lies in the graph, batch included."""
        return self.axes.index(axis % self.rank) + 1


def plain(name: str, shape: tuple[int, ...]) -> Value:
    """A value that lies as Keras has it."""
    return Value(name, shape, tuple(range(len(shape))))


@dataclass(frozen=True, slots=True)
class Operation:
    """One node of the graph, before it is made ONNX."""

    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any]


@dataclass(slots=True)
class GraphBuilder:
    """Collects operations, constants and bindings; knows nothing of ONNX' own classes.

    Attributes:
        reserved: Names that no value may take: the tensors'.
    """

    reserved: frozenset[str]
    operations: list[Operation] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)
    bindings: dict[str, Arrange | None] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)

    def name(self, wanted: str) -> str:
        """A name that nothing else in the graph bears."""
        found, count = wanted, 1
        while found in self._names or found in self.reserved:
            count += 1
            found = f"{wanted}_{count}"
        self._names.add(found)
        return found

    def add(self, kind: str, inputs: tuple[str, ...], wanted: str, **attributes: Any) -> str:
        """Add an operation with one output and return the output's name."""
        output = self.name(wanted)
        self.operations.append(Operation(kind, inputs, output, attributes))
        return output

    def constant(self, array: NDArray[Any], wanted: str) -> str:
        """Add a constant of the graph's own."""
        name = self.name(wanted)
        self.constants[name] = array
        return name

    def bind(self, tensor: str, arrange: Arrange | None) -> str:
        """Tie an initializer to a tensor of the model; again where a layer is called again."""
        self.bindings.setdefault(tensor, arrange)
        return tensor


@dataclass(frozen=True, slots=True)
class Emission:
    """Asks a kind of layer to add one call of it to the graph.

    Attributes:
        layer: The layer's path.
        settings: Its configuration.
        inputs: What it is called on.
        tensors: Names of its tensors by their names in the layer.
        output_shape: As Keras has it.
        repeated: Whether it is called elsewhere too, so that its tensors must lie as the file
            has them whatever the inputs look like.
    """

    builder: GraphBuilder
    layer: str
    settings: Settings
    inputs: tuple[Value, ...]
    tensors: Mapping[str, str]
    output_shape: tuple[int, ...]
    repeated: bool

    @property
    def input(self) -> Value:
        """The first input."""
        return self.inputs[0]

    def add(self, kind: str, *inputs: str, part: str = "", **attributes: Any) -> str:
        """Add an operation whose output bears the layer's name, or that of a part of it."""
        wanted = f"{self.layer}/{part}" if part else self.layer
        return self.builder.add(kind, inputs, wanted, **attributes)

    def constant(self, array: NDArray[Any] | float, part: str) -> str:
        """Add a float32 constant."""
        return self.builder.constant(np.asarray(array, dtype=np.float32), f"{self.layer}/{part}")

    def whole_numbers(self, numbers: tuple[int, ...], part: str) -> str:
        """Add an int64 constant."""
        return self.builder.constant(np.asarray(numbers, dtype=np.int64), f"{self.layer}/{part}")

    def tensor(self, weight: str, arrange: Arrange | None = None) -> str:
        """Bind one of the layer's tensors."""
        return self.builder.bind(self.tensors[weight], arrange)

    def has(self, weight: str) -> bool:
        """Whether the layer has such a tensor."""
        return weight in self.tensors

    def refuse(self, what: str, supported: str) -> NoReturn:
        """Say that the layer wants something that is not supported."""
        raise UnsupportedError(f"layer '{self.layer}': {what}", hint=f"supported: {supported}")


def lay(emission: Emission, value: Value, axes: tuple[int, ...]) -> Value:
    """The value with its axes in another order; nothing is added where they lie so already."""
    if value.axes == axes and value.order is None:
        return value
    if value.order is not None:
        value = _in_order(emission, value)
        return lay(emission, value, axes)
    sizes = tuple(value.shape[axis] for axis in axes)
    moved = replace(value, axes=axes)
    if [a for a in value.axes if value.shape[a] != 1] == [a for a in axes if value.shape[a] != 1]:
        shape = emission.whole_numbers((0, *sizes), "shape")
        return replace(moved, name=emission.add("Reshape", value.name, shape, part="layout"))
    permutation = (0, *(value.axes.index(axis) + 1 for axis in axes))
    return replace(moved, name=emission.add("Transpose", value.name, part="layout", perm=permutation))


def as_keras(emission: Emission, value: Value) -> Value:
    """The value as Keras has it, element by element."""
    return lay(emission, value, tuple(range(value.rank)))


def channels_first(emission: Emission, value: Value, axis: int) -> Value:
    """The value with one of Keras' axes before all others, which keep their order."""
    axis %= value.rank
    return lay(emission, value, (axis, *(other for other in range(value.rank) if other != axis)))


def flattened(emission: Emission, value: Value) -> Value:
    """The value as one axis; elements stay where they lie and the value knows in which order."""
    size = math.prod(value.shape)
    if value.rank == 1:
        return value
    name = emission.add("Flatten", value.name, axis=1)
    order = np.arange(size).reshape(value.shape).transpose(value.axes).reshape(-1)
    if np.array_equal(order, np.arange(size)):
        return plain(name, (size,))
    return Value(name, (size,), (0,), order=order, unfolded=value)


def _in_order(emission: Emission, value: Value) -> Value:
    """A flat value with its elements in Keras' order."""
    assert value.order is not None
    if value.unfolded is not None:
        lying = value.unfolded
        shape = emission.whole_numbers((0, *lying.graph_shape), "unfolded")
        unfolded = replace(lying, name=emission.add("Reshape", value.name, shape, part="unfold"))
        ordered = lay(emission, unfolded, tuple(range(lying.rank)))
        ordered_name = emission.add("Flatten", ordered.name, part="fold", axis=1)
        return replace(plain(ordered_name, value.shape), probabilities=value.probabilities)
    inverse = np.argsort(value.order, kind="stable").astype(np.int64)
    indices = emission.builder.constant(inverse, f"{emission.layer}/order")
    name = emission.add("Gather", value.name, indices, part="ordered", axis=1)
    return replace(plain(name, value.shape), probabilities=value.probabilities)


def elementwise(value: Value, name: str) -> Value:
    """The result of an operation on each element: it lies as its input does."""
    return replace(value, name=name, probabilities=False)


def transposed(axes: tuple[int, ...]) -> Arrange:
    """Arranges a tensor by permuting its axes."""
    return partial(_transpose, axes=axes)


def _transpose(array: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    return array.transpose(axes)


def reordered(order: NDArray[np.intp] | None) -> Arrange | None:
    """Arranges a tensor by reordering its first axis."""
    return None if order is None else partial(_take, order=order)


def _take(array: NDArray[Any], order: NDArray[np.intp]) -> NDArray[Any]:
    return array[order]
