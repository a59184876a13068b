"""Normalisation of batches, layers, groups and features."""

from __future__ import annotations

import math

import numpy as np

from toolkit.tensors import TensorRole
from toolkit_keras.graph_builder import LayerBuilder, Value, as_keras, channels_first, elementwise, lay
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape, Weight

_RENORMALISATION = ("moving_stddev", "renorm_mean", "renorm_stddev")


def _scale_and_shift(config: LayerConfig, shape: MaybeShape) -> tuple[Weight, ...]:
    """Gamma and beta, if they are switched on."""
    known = (("scale", "gamma", TensorRole.SCALE), ("center", "beta", TensorRole.SHIFT))
    return tuple(Weight(name, shape, role) for key, name, role in known if config.flag(key, default=True))


def _batch_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    axis, shape = config.only_axis("batch normalisation"), inputs[0]
    size = (None if shape is None else shape[config.own_axis(axis, len(shape))],)
    # Only training uses the further statistics of batch renormalisation.
    renormalised = _RENORMALISATION if config.flag("renorm", default=False) else ()
    return (
        *_scale_and_shift(config, size),
        Weight("moving_mean", size, TensorRole.RUNNING_MEAN, trainable=False),
        Weight("moving_variance", size, TensorRole.RUNNING_VARIANCE, trainable=False),
        *(Weight(name, size, TensorRole.OTHER, trainable=False) for name in renormalised),
    )


def _build_batch(builder: LayerBuilder) -> Value:
    config, value = builder.config, builder.input
    axis = config.own_axis(config.only_axis("batch normalisation"), value.rank)
    if value.rank == 1:
        value = builder.ordered_input()
    else:
        value = lay(builder, value, (axis, *(other for other in value.axes if other != axis)))
    size = (value.shape[axis],)
    name = builder.add(
        "BatchNormalization",
        value.name,
        builder.tensor_or(1.0, "gamma", size, value.order),
        builder.tensor_or(0.0, "beta", size, value.order),
        builder.tensor("moving_mean", value.order),
        builder.tensor("moving_variance", value.order),
        epsilon=config.number("epsilon", 1e-3),
    )
    return elementwise(value, name)


def _layer_axes(config: LayerConfig, rank: int) -> tuple[int, ...]:
    axes = tuple(config.own_axis(axis, rank) for axis in config.integers("axis", -1))
    if list(axes) != sorted(set(axes)):
        config.refuse(f"axes {axes} out of order", "rising axes")
    return axes


def _layer_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    shape = inputs[0]
    if shape is not None:
        shape = tuple(shape[axis] for axis in _layer_axes(config, len(shape)))
    if config.flag("rms_scaling", default=False):
        return (Weight("gamma", shape, TensorRole.SCALE),)
    return _scale_and_shift(config, shape)


def _build_layer(builder: LayerBuilder) -> Value:
    config = builder.config
    if config.flag("rms_scaling", default=False):
        return _scaled_by_variance(builder)
    value = builder.ordered_input()
    axes = _layer_axes(config, value.rank)
    if value.rank > 1:
        value = lay(builder, value, (*(axis for axis in value.axes if axis not in axes), *axes))
    name = builder.add(
        "LayerNormalization",
        value.name,
        builder.tensor_or(1.0, "gamma", tuple(value.shape[axis] for axis in axes), value.order),
        *builder.optional("beta", value.order),
        axis=-len(axes),
        epsilon=config.number("epsilon", 1e-3),
    )
    return elementwise(value, name)


def _scaled_by_variance(builder: LayerBuilder) -> Value:
    """A layer normalisation with ``rms_scaling`` divides by the deviation and subtracts no mean."""
    value, axes = _ordered(builder)
    places = sorted(value.place(axis) for axis in axes)
    mean = builder.add("ReduceMean", value.name, part="mean", axes=places)
    centred = builder.add("Sub", value.name, mean, part="centred")
    square = builder.add("Mul", centred, centred, part="square")
    variance = builder.add("ReduceMean", square, part="variance", axes=places)
    return _over_root(builder, value, axes, variance, "gamma", 1e-3)


def _ordered(builder: LayerBuilder) -> tuple[Value, tuple[int, ...]]:
    """The input, of whose elements the layer's weights are a part, and the axes that are normalised."""
    value = builder.input
    if builder.repeated or value.order is not None:
        value = as_keras(builder, value)
    return value, _layer_axes(builder.config, value.rank)


def _over_root(
    builder: LayerBuilder, value: Value, axes: tuple[int, ...], power: str, weight: str, epsilon: float
) -> Value:
    """The value over the root of a power, times a weight for each element along the axes."""
    smallest = builder.constant(builder.config.number("epsilon", epsilon), "epsilon")
    root = builder.add("Sqrt", builder.add("Add", power, smallest, part="sum"), part="root")
    scale = builder.tensor(weight, value.broadcasting(axes))
    return elementwise(value, builder.add("Mul", builder.add("Div", value.name, root, part="scaled"), scale))


def _rms_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    shape = inputs[0]
    if shape is not None:
        shape = tuple(shape[axis] for axis in _layer_axes(config, len(shape)))
    return (Weight("scale", shape, TensorRole.SCALE),)


def _build_rms(builder: LayerBuilder) -> Value:
    value, axes = _ordered(builder)
    square = builder.add("Mul", value.name, value.name, part="square")
    places = sorted(value.place(axis) for axis in axes)
    power = builder.add("ReduceMean", square, part="power", axes=places)
    return _over_root(builder, value, axes, power, "scale", 1e-6)


def _build_unit(builder: LayerBuilder) -> Value:
    """Divides by the Euclidean norm along some axes."""
    value = builder.input
    axes = {builder.config.own_axis(axis, value.rank) for axis in builder.config.integers("axis", -1)}
    places = sorted(value.place(axis) for axis in axes)
    norm = builder.add("ReduceL2", value.name, part="norm", axes=places)
    bounded = builder.add("Max", norm, builder.constant(1e-12, "epsilon"), part="bounded")
    return elementwise(value, builder.add("Div", value.name, bounded))


def _group_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    shape = inputs[0]
    size = None if shape is None else shape[config.own_axis(config.only_axis("groups"), len(shape))]
    groups = _groups(config, size)
    if size is not None and size % groups:
        config.damaged(f"has {size} channels in {groups} groups")
    return _scale_and_shift(config, (size,))


def _groups(config: LayerConfig, channels: int | None) -> int:
    """-1 is one group for each channel."""
    return (channels or 1) if config.integers("groups", 32) == (-1,) else config.size("groups", 32)


def _build_group(builder: LayerBuilder) -> Value:
    """Each group is normalised like an instance with the group's channels in a row."""
    config = builder.config
    axis = config.own_axis(config.only_axis("groups"), builder.input.rank)
    value = channels_first(builder, builder.input, axis)
    groups = _groups(config, value.shape[axis])
    rows = builder.whole_numbers((0, groups, -1), "groups")
    split = builder.add("Reshape", value.name, rows, part="split")
    one, zero = (builder.constant(np.full(groups, number), f"all_{number}") for number in (1, 0))
    normal = builder.add(
        "InstanceNormalization", split, one, zero, part="normal", epsilon=config.number("epsilon", 1e-3)
    )
    sizes = builder.whole_numbers((0, *value.graph_shape), "sizes")
    weights = [
        (operator, weight)
        for operator, weight in (("Mul", "gamma"), ("Add", "beta"))
        if weight in builder.tensors
    ]
    name = builder.add("Reshape", normal, sizes, part="joined" if weights else "")
    for operator, weight in weights:
        tensor = builder.tensor(weight, value.broadcasting((axis,)))
        name = builder.add(operator, name, tensor, part="" if weight == weights[-1][1] else operator.lower())
    return elementwise(value, name)


def _kept_axes(config: LayerConfig, rank: int) -> tuple[int, ...]:
    if config.values.get("axis", -1) in (None, []):
        return ()
    return tuple(sorted(config.own_axis(axis, rank) for axis in config.integers("axis", -1)))


def _normalization_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    if config.values.get("mean") is not None:
        return ()
    shape = inputs[0]
    kept = None if shape is None else tuple(shape[axis] for axis in _kept_axes(config, len(shape)))
    shapes: dict[str, MaybeShape] = {"mean": kept, "variance": kept, "count": ()}
    return tuple(Weight(name, size, TensorRole.OTHER, trainable=False) for name, size in shapes.items())


def _build_normalization(builder: LayerBuilder) -> Value:
    config = builder.config
    value = builder.input
    if builder.repeated or value.order is not None:
        value = as_keras(builder, value)
    kept = _kept_axes(config, value.rank)
    sizes = tuple(value.shape[axis] for axis in kept)
    order = value.broadcasting(kept)
    if config.values.get("mean") is not None:
        parts = []
        for key in ("mean", "variance"):
            given = np.asarray(config.values.get(key), dtype=np.float64)
            if given.size not in (1, math.prod(sizes)):
                config.damaged(f"{key} has {given.size} numbers, not {math.prod(sizes)}")
            parts.append(order.apply(np.resize(given, sizes)))
        mean = builder.constant(parts[0], "mean")
        deviation = builder.constant(np.maximum(np.sqrt(parts[1]), 1e-7), "deviation")
    else:
        mean = builder.tensor("mean", order)
        root = builder.add("Sqrt", builder.tensor("variance", order), part="root")
        deviation = builder.add("Max", root, builder.constant(1e-7, "epsilon"), part="deviation")
    if config.flag("invert", default=False):
        scaled = builder.add("Mul", value.name, deviation, part="scaled")
        return elementwise(value, builder.add("Add", scaled, mean))
    centred = builder.add("Sub", value.name, mean, part="centred")
    return elementwise(value, builder.add("Div", centred, deviation))


KINDS = (
    LayerKind("BatchNormalization", _build_batch, weights=_batch_weights),
    LayerKind("GroupNormalization", _build_group, weights=_group_weights),
    LayerKind("LayerNormalization", _build_layer, weights=_layer_weights),
    LayerKind("Normalization", _build_normalization, weights=_normalization_weights),
    LayerKind("RMSNormalization", _build_rms, weights=_rms_weights),
    LayerKind("UnitNormalization", _build_unit),
)
