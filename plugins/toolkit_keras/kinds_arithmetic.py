"""Activations as layers, layers that scale, and layers that merge branches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UnreadableInputError
from toolkit.tensors import TensorRole
from toolkit_keras.activations import (
    Activation,
    activation_of,
    elu_of,
    emit_activation,
    leaky_relu_of,
    relu_of,
    softmax_of,
)
from toolkit_keras.graph_builder import Emission, Value, as_keras, elementwise, lay, plain
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape, Shape, Weight, own_axis
from toolkit_keras.settings import Settings

# --- activations ---------------------------------------------------------------------------


def _activation_kind(name: str, function: Callable[[Settings], Activation]) -> LayerKind:
    def emit(emission: Emission) -> Value:
        return emit_activation(emission, emission.input, function(emission.settings))

    def attributes(settings: Settings, _inputs: Inputs) -> Mapping[str, Any]:
        return {"activation": function(settings).describe()}

    return LayerKind(name, emit, attributes=attributes)


def _operation(name: str, *parameters: str) -> Callable[[Settings], Activation]:
    """A function that a Functional model calls without a layer, ``keras.ops.gelu(x)``."""

    def function(settings: Settings) -> Activation:
        given = {key: settings.values[key] for key in parameters if settings.values.get(key) is not None}
        return Activation(name, given)

    return function


def _alpha_shape(settings: Settings, shape: MaybeShape) -> MaybeShape:
    if shape is None:
        return None
    shared = settings.integers("shared_axes") if settings.values.get("shared_axes") else ()
    joined = {own_axis(settings, axis, len(shape)) for axis in shared}
    return tuple(1 if axis in joined else size for axis, size in enumerate(shape))


def _prelu_weights(settings: Settings, inputs: Inputs) -> tuple[Weight, ...]:
    return (Weight("alpha", _alpha_shape(settings, inputs[0]), TensorRole.OTHER),)


def _prelu_attributes(settings: Settings, _inputs: Inputs) -> Mapping[str, Any]:
    shared = settings.integers("shared_axes") if settings.values.get("shared_axes") else ()
    return {"shared_axes": sorted(shared)}


def _emit_prelu(emission: Emission) -> Value:
    value = as_keras(emission, emission.input) if emission.repeated else emission.input
    alpha = emission.tensor("alpha", partial(_as_laid, axes=value.axes, order=value.order))
    return elementwise(value, emission.add("PRelu", value.name, alpha))


def _as_laid(array: NDArray[Any], axes: tuple[int, ...], order: NDArray[np.intp] | None) -> NDArray[Any]:
    """One number for each element, laid as the graph's value is; a shared one stays alone."""
    laid = array.transpose(axes)
    return laid if order is None or laid.size == 1 else laid[order]


# --- Rescaling -----------------------------------------------------------------------------


def _rescaling_attributes(settings: Settings, _inputs: Inputs) -> Mapping[str, Any]:
    return {"scale": list(settings.numbers("scale", 1.0)), "offset": list(settings.numbers("offset", 0.0))}


def _emit_rescaling(emission: Emission) -> Value:
    scale = emission.settings.numbers("scale", 1.0)
    offset = emission.settings.numbers("offset", 0.0)
    value = emission.input
    if value.order is not None and (len(scale) > 1 or len(offset) > 1):
        value = as_keras(emission, value)
    name = emission.add("Mul", value.name, _along_last(emission, value, scale, "scale"), part="scaled")
    if any(offset):
        name = emission.add("Add", name, _along_last(emission, value, offset, "offset"))
    return elementwise(value, name)


def _along_last(emission: Emission, value: Value, numbers: tuple[float, ...], part: str) -> str:
    """One number, or one for each element of Keras' last axis."""
    if len(numbers) == 1:
        return emission.constant(numbers[0], part)
    if len(numbers) != value.shape[-1]:
        raise UnreadableInputError(
            f"layer '{emission.layer}': {part} has {len(numbers)} numbers for {value.shape[-1]} channels",
            hint="the file's configuration is damaged",
        )
    spread = [1] * value.rank
    spread[value.place(-1) - 1] = len(numbers)
    return emission.constant(np.asarray(numbers).reshape(spread), part)


# --- merging -------------------------------------------------------------------------------


def _broadcast_shape(settings: Settings, inputs: Inputs) -> MaybeShape:
    """Shapes of unequal rank are filled up from the front, as Keras does."""
    shapes = [shape for shape in inputs if shape is not None]
    if len(shapes) < len(inputs) or not shapes:
        return None
    rank = max(len(shape) for shape in shapes)
    filled: list[Shape] = [(*([1] * (rank - len(shape))), *shape) for shape in shapes]
    merged: list[int | None] = []
    for sizes in zip(*filled, strict=True):
        known = {size for size in sizes if size not in (None, 1)}
        if len(known) > 1:
            raise UnreadableInputError(
                f"layer '{settings.layer}' merges {' and '.join(str(list(shape)) for shape in shapes)}, "
                "which do not fit together",
                hint="the file's configuration is damaged",
            )
        merged.append(known.pop() if known else (None if None in sizes else 1))
    return tuple(merged)


def _merge(kind: str, *, n_ary: bool) -> Callable[[Emission], Value]:
    def emit(emission: Emission) -> Value:
        values = _aligned(emission)
        if len(values) == 1:
            return values[0]
        names = tuple(value.name for value in values)
        if n_ary:
            name = emission.add(kind, *names)
        else:
            name = names[0]
            for index, other in enumerate(names[1:]):
                name = emission.add(kind, name, other, part="" if index == len(names) - 2 else "partial")
        return replace(elementwise(values[0], name), shape=emission.output_shape)

    return emit


def _aligned(emission: Emission) -> list[Value]:
    """The inputs with equal rank and with their axes lying alike."""
    rank = len(emission.output_shape)
    values = [_filled_up(emission, value, rank) for value in emission.inputs]
    first = values[0]
    if all(_lie_alike(first, value) for value in values[1:]):
        return values
    axes = first.axes if first.order is None else tuple(range(rank))
    return [lay(emission, value, axes) for value in values]


def _lie_alike(one: Value, other: Value) -> bool:
    if one.order is None or other.order is None:
        return one.order is other.order and one.axes == other.axes
    return one.shape == other.shape and np.array_equal(one.order, other.order)


def _filled_up(emission: Emission, value: Value, rank: int) -> Value:
    if value.rank == rank:
        return value
    value = as_keras(emission, value)
    shape = (*([1] * (rank - value.rank)), *value.shape)
    numbers = emission.whole_numbers((0, *shape), "filled")
    return plain(emission.add("Reshape", value.name, numbers, part="filled"), shape)


# --- Concatenate ---------------------------------------------------------------------------


def _joined_shape(settings: Settings, inputs: Inputs) -> MaybeShape:
    shapes = [shape for shape in inputs if shape is not None]
    if len(shapes) < len(inputs) or not shapes:
        return None
    rank = len(shapes[0])
    axis = own_axis(settings, settings.integers("axis", -1)[0], rank)
    rest = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes if len(shape) == rank}
    if len(rest) != 1 or any(len(shape) != rank for shape in shapes):
        raise UnreadableInputError(
            f"layer '{settings.layer}' joins {' and '.join(str(list(shape)) for shape in shapes)}, "
            "which do not fit together",
            hint="the file's configuration is damaged",
        )
    sizes = [shape[axis] for shape in shapes]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])


def _concatenate_attributes(settings: Settings, inputs: Inputs) -> Mapping[str, Any]:
    axis = settings.integers("axis", -1)[0]
    shape = inputs[0]
    return {"axis": axis if shape is None else own_axis(settings, axis, len(shape)) + 1}


def _emit_concatenate(emission: Emission) -> Value:
    values = list(emission.inputs)
    rank = values[0].rank
    axis = own_axis(emission.settings, emission.settings.integers("axis", -1)[0], rank)
    if rank == 1:
        name = emission.add("Concat", *(value.name for value in values), axis=1)
        return replace(plain(name, emission.output_shape), order=_joined_order(values))
    axes = values[0].axes
    values = [lay(emission, value, axes) for value in values]
    name = emission.add("Concat", *(value.name for value in values), axis=values[0].place(axis))
    return Value(name, emission.output_shape, axes)


def _joined_order(values: list[Value]) -> NDArray[np.intp] | None:
    """Where each element of flat values put behind one another belongs."""
    if all(value.order is None for value in values):
        return None
    parts, start = [], 0
    for value in values:
        size = value.shape[0]
        parts.append((np.arange(size) if value.order is None else value.order) + start)
        start += size
    return np.concatenate(parts)


KINDS = (
    _activation_kind("Activation", activation_of),
    _activation_kind("ReLU", relu_of),
    _activation_kind("LeakyReLU", leaky_relu_of),
    _activation_kind("ELU", elu_of),
    _activation_kind("Softmax", softmax_of),
    LayerKind("PReLU", _emit_prelu, weights=_prelu_weights, attributes=_prelu_attributes),
    LayerKind("Rescaling", _emit_rescaling, attributes=_rescaling_attributes),
    LayerKind("Add", _merge("Sum", n_ary=True), _broadcast_shape, inputs=None),
    LayerKind("Subtract", _merge("Sub", n_ary=False), _broadcast_shape, inputs=2),
    LayerKind("Multiply", _merge("Mul", n_ary=False), _broadcast_shape, inputs=None),
    LayerKind("Average", _merge("Mean", n_ary=True), _broadcast_shape, inputs=None),
    LayerKind("Maximum", _merge("Max", n_ary=True), _broadcast_shape, inputs=None),
    LayerKind("Minimum", _merge("Min", n_ary=True), _broadcast_shape, inputs=None),
    LayerKind(
        "Concatenate", _emit_concatenate, _joined_shape, attributes=_concatenate_attributes, inputs=None
    ),
)

OPERATIONS = (
    *(
        _activation_kind(name, _operation(function, *parameters))
        for name, function, parameters in (
            ("Relu", "relu", ()),
            ("Relu6", "relu6", ()),
            ("LeakyRelu", "leaky_relu", ("negative_slope",)),
            ("Elu", "elu", ("alpha",)),
            ("Selu", "selu", ()),
            ("Gelu", "gelu", ("approximate",)),
            ("Sigmoid", "sigmoid", ()),
            ("HardSigmoid", "hard_sigmoid", ()),
            ("Silu", "silu", ()),
            ("HardSilu", "hard_silu", ()),
            ("Tanh", "tanh", ()),
            ("Softmax", "softmax", ("axis",)),
            ("LogSoftmax", "log_softmax", ("axis",)),
            ("Softplus", "softplus", ()),
            ("Softsign", "softsign", ()),
            ("Exp", "exponential", ()),
        )
    ),
    _activation_kind("ReLU", relu_of),
    *(
        kind
        for kind in KINDS
        if kind.name in ("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Concatenate")
    ),
)
