"""Activations as layers, layers that scale, and layers that merge branches."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

import numpy as np

from toolkit.graph import Permute, Rearrangement, Take
from toolkit.tensors import TensorRole
from toolkit_keras.activations import ACTIVATION_LAYERS, Activation, add_activation
from toolkit_keras.graph_builder import LayerBuilder, Value, as_keras, elementwise, lay, plain
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape, Shape, Weight


def _activation_kind(name: str, function: Callable[[LayerConfig], Activation]) -> LayerKind:
    return LayerKind(name, lambda builder: add_activation(builder, builder.input, function(builder.config)))


def _prelu_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    shape = inputs[0]
    if shape is not None:
        shared = config.integers("shared_axes") if config.values.get("shared_axes") else ()
        joined = {config.own_axis(axis, len(shape)) for axis in shared}
        shape = tuple(1 if axis in joined else size for axis, size in enumerate(shape))
    return (Weight("alpha", shape, TensorRole.OTHER),)


def _build_prelu(builder: LayerBuilder) -> Value:
    value = builder.ordered_input()
    shared = math.prod(builder.tensors["alpha"].shape) == 1
    order = None if shared else value.order
    if value.rank > 1:
        order = Rearrangement((Permute(value.axes),))
    return elementwise(value, builder.add("PRelu", value.name, builder.tensor("alpha", order)))


def _build_rescaling(builder: LayerBuilder) -> Value:
    scale = builder.config.numbers("scale", 1.0)
    offset = builder.config.numbers("offset", 0.0)
    value = builder.input
    if value.order is not None and (len(scale) > 1 or len(offset) > 1):
        value = as_keras(builder, value)
    name = builder.add("Mul", value.name, _along_last(builder, value, scale, "scale"), part="scaled")
    if any(offset):
        name = builder.add("Add", name, _along_last(builder, value, offset, "offset"))
    return elementwise(value, name)


def _along_last(builder: LayerBuilder, value: Value, numbers: tuple[float, ...], part: str) -> str:
    """One number, or one for each element of Keras' last axis."""
    if len(numbers) == 1:
        return builder.constant(numbers[0], part)
    if len(numbers) != value.shape[-1]:
        builder.config.damaged(f"{part} has {len(numbers)} numbers for {value.shape[-1]} channels")
    return builder.constant(value.broadcasting((value.rank - 1,)).apply(np.asarray(numbers)), part)


def _known_shapes(inputs: Inputs) -> list[Shape]:
    """The inputs' shapes; none unless all of them are known."""
    shapes = [shape for shape in inputs if shape is not None]
    return shapes if len(shapes) == len(inputs) else []


def _refuse_shapes(config: LayerConfig, shapes: list[Shape]) -> NoReturn:
    config.damaged(f"joins {' and '.join(str(list(shape)) for shape in shapes)}, which do not fit together")


def broadcast_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    """Shapes of unequal rank are filled up from the front, as Keras does."""
    shapes = _known_shapes(inputs)
    if not shapes:
        return None
    rank = max(len(shape) for shape in shapes)
    filled: list[Shape] = [(*([1] * (rank - len(shape))), *shape) for shape in shapes]
    merged: list[int | None] = []
    for sizes in zip(*filled, strict=True):
        known = {size for size in sizes if size not in (None, 1)}
        if len(known) > 1:
            _refuse_shapes(config, shapes)
        merged.append(known.pop() if known else (None if None in sizes else 1))
    return tuple(merged)


def merge(kind: str, *, n_ary: bool) -> Callable[[LayerBuilder], Value]:
    """Builds an operation on several values, of equal shapes or of shapes that broadcast."""

    def build(builder: LayerBuilder) -> Value:
        values = _aligned(builder)
        if len(values) == 1:
            return values[0]
        names = tuple(value.name for value in values)
        like = next((value for value in values if value.rank), values[0])
        if n_ary:
            name = builder.add(kind, *names)
        else:
            name = names[0]
            for index, other in enumerate(names[1:]):
                name = builder.add(kind, name, other, part="" if index == len(names) - 2 else "partial")
        return replace(elementwise(like, name), shape=builder.output_shape)

    return build


def _aligned(builder: LayerBuilder) -> list[Value]:
    """The inputs with equal rank and with their axes in one order; single numbers as they are."""
    rank = len(builder.output_shape)
    values = [_filled_up(builder, value, rank) if value.rank else value for value in builder.inputs]
    ranked = [value for value in values if value.rank]
    if not ranked:
        return values
    first = ranked[0]
    flat = first.order is not None
    if all(
        (value.axes, value.order) == (first.axes, first.order) and (not flat or value.shape == first.shape)
        for value in ranked
    ):
        return values
    axes = tuple(range(rank)) if flat else first.axes
    return [lay(builder, value, axes) if value.rank else value for value in values]


def _filled_up(builder: LayerBuilder, value: Value, rank: int) -> Value:
    if value.rank == rank:
        return value
    value = as_keras(builder, value)
    shape = (*([1] * (rank - value.rank)), *value.shape)
    numbers = builder.whole_numbers((0, *shape), "filled")
    return plain(builder.add("Reshape", value.name, numbers, part="filled"), shape)


def _joined_axis(config: LayerConfig, rank: int) -> int:
    return config.own_axis(config.integers("axis", -1)[0], rank)


def _joined_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    shapes = _known_shapes(inputs)
    if not shapes:
        return None
    axis = _joined_axis(config, len(shapes[0]))
    if len({(len(shape), *shape[:axis], *shape[axis + 1 :]) for shape in shapes}) > 1:
        _refuse_shapes(config, shapes)
    sizes = [shape[axis] for shape in shapes]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])


def _build_concatenate(builder: LayerBuilder) -> Value:
    values = list(builder.inputs)
    axis = _joined_axis(builder.config, values[0].rank)
    if values[0].rank == 1:
        name = builder.add("Concat", *(value.name for value in values), axis=1)
        return replace(plain(name, builder.output_shape), order=_joined_order(values))
    axes = values[0].axes
    values = [lay(builder, value, axes) for value in values]
    name = builder.add("Concat", *(value.name for value in values), axis=values[0].place(axis))
    return Value(name, builder.output_shape, axes)


def _joined_order(values: list[Value]) -> Rearrangement | None:
    """The order of the elements of flat values put one after another."""
    if all(value.order is None for value in values):
        return None
    order: list[int] = []
    for value in values:
        places = np.arange(value.shape[0]) + len(order)
        order += (places if value.order is None else value.order.apply(places)).tolist()
    return Rearrangement((Take(tuple(order)),))


KINDS = (
    *(_activation_kind(name, function) for name, function in ACTIVATION_LAYERS.items()),
    LayerKind("PReLU", _build_prelu, weights=_prelu_weights),
    LayerKind("Rescaling", _build_rescaling),
    LayerKind("Add", merge("Sum", n_ary=True), broadcast_shape, inputs=None),
    LayerKind("Subtract", merge("Sub", n_ary=False), broadcast_shape, inputs=2),
    LayerKind("Multiply", merge("Mul", n_ary=False), broadcast_shape, inputs=None),
    LayerKind("Average", merge("Mean", n_ary=True), broadcast_shape, inputs=None),
    LayerKind("Maximum", merge("Max", n_ary=True), broadcast_shape, inputs=None),
    LayerKind("Minimum", merge("Min", n_ary=True), broadcast_shape, inputs=None),
    LayerKind("Concatenate", _build_concatenate, _joined_shape, inputs=None),
)
