"""Dense layers and normalisations."""

from __future__ import annotations

import math

import numpy as np

from toolkit.errors import UnsupportedError
from toolkit.graph import Permute, Rearrangement, Reshape
from toolkit.tensors import TensorRole
from toolkit_keras.activations import activation_of, add_activation
from toolkit_keras.graph_builder import (
    LayerBuilder,
    Value,
    as_keras,
    elementwise,
    lay,
    plain,
)
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape, Weight, own_axis, size_of


def _dense_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    units = config.integer("units", minimum=1)
    kernel = Weight("kernel", (size_of(inputs[0], -1), units), TensorRole.KERNEL)
    if not config.flag("use_bias", default=True):
        return (kernel,)
    return kernel, Weight("bias", (units,), TensorRole.BIAS)


def _dense_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    units = config.integer("units", minimum=1)
    shape = inputs[0]
    return (units,) if not shape else (*shape[:-1], units)


def _build_dense(builder: LayerBuilder) -> Value:
    value = builder.input
    if value.rank != 1:
        value = as_keras(builder, value)
        kernel = builder.tensor("kernel")
        name = builder.add("MatMul", value.name, kernel, part="product" if builder.has("bias") else "")
        if builder.has("bias"):
            name = builder.add("Add", name, builder.tensor("bias"))
    else:
        if builder.repeated:
            value = as_keras(builder, value)
        operands = [builder.tensor("kernel", value.order)]
        if builder.has("bias"):
            operands.append(builder.tensor("bias"))
        name = builder.add("Gemm", value.name, *operands)
    return add_activation(builder, plain(name, builder.output_shape), activation_of(builder.config))


def _axis_of(config: LayerConfig, shape: MaybeShape) -> int | None:
    """Keras' axis counted without the batch, if the number of axes is known."""
    axes = config.integers("axis", -1)
    if len(axes) != 1:
        raise UnsupportedError(
            f"layer '{config.layer}': batch normalisation over {len(axes)} axes", hint="supported: one axis"
        )
    return None if shape is None else own_axis(config, axes[0], len(shape))


def _switched(config: LayerConfig, size: MaybeShape) -> tuple[Weight, ...]:
    """Gamma and beta, if they are switched on."""
    found = []
    if config.flag("scale", default=True):
        found.append(Weight("gamma", size, TensorRole.SCALE))
    if config.flag("center", default=True):
        found.append(Weight("beta", size, TensorRole.SHIFT))
    return tuple(found)


_RENORMALISATION = ("moving_stddev", "renorm_mean", "renorm_stddev")


def _batch_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    axis = _axis_of(config, inputs[0])
    size = (None if axis is None else size_of(inputs[0], axis),)
    # Only training uses the further statistics of batch renormalisation.
    renormalised = _RENORMALISATION if config.flag("renorm", default=False) else ()
    return (
        *_switched(config, size),
        Weight("moving_mean", size, TensorRole.RUNNING_MEAN, trainable=False),
        Weight("moving_variance", size, TensorRole.RUNNING_VARIANCE, trainable=False),
        *(Weight(name, size, TensorRole.OTHER, trainable=False) for name in renormalised),
    )


def _build_batch(builder: LayerBuilder) -> Value:
    config, value = builder.config, builder.input
    axis = _axis_of(config, value.shape)
    assert axis is not None
    if value.rank == 1:
        if builder.repeated:
            value = as_keras(builder, value)
        order = value.order
    else:
        order = None
        others = tuple(other for other in value.axes if other != axis)
        value = lay(builder, value, (axis, *others))
    size = (value.shape[axis],)
    name = builder.add(
        "BatchNormalization",
        value.name,
        builder.tensor_or(1.0, "gamma", size, order),
        builder.tensor_or(0.0, "beta", size, order),
        builder.tensor("moving_mean", order),
        builder.tensor("moving_variance", order),
        epsilon=config.number("epsilon", 1e-3),
    )
    return elementwise(value, name)


def _layer_axes(config: LayerConfig, rank: int) -> tuple[int, ...]:
    axes = tuple(own_axis(config, axis, rank) for axis in config.integers("axis", -1))
    if list(axes) != sorted(set(axes)):
        raise UnsupportedError(
            f"layer '{config.layer}': axes {axes} out of order", hint="supported: rising axes"
        )
    return axes


def _layer_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    shape = inputs[0]
    if config.values.get("rms_scaling") is True:
        return (Weight("gamma", None, TensorRole.SCALE),)
    if shape is None:
        return _switched(config, None)
    return _switched(config, tuple(shape[axis] for axis in _layer_axes(config, len(shape))))


def _build_layer(builder: LayerBuilder) -> Value:
    config, value = builder.config, builder.input
    if config.flag("rms_scaling", default=False):
        builder.refuse("rms_scaling", "false")
    axes = _layer_axes(config, value.rank)
    if builder.repeated:
        value = as_keras(builder, value)
    if value.rank == 1:
        order = value.order
    else:
        order = None
        value = lay(builder, value, (*(axis for axis in value.axes if axis not in axes), *axes))
    sizes = tuple(value.shape[axis] for axis in axes)
    operands = [builder.tensor_or(1.0, "gamma", sizes, order)]
    if builder.has("beta"):
        operands.append(builder.tensor("beta", order))
    name = builder.add(
        "LayerNormalization",
        value.name,
        *operands,
        axis=-len(axes),
        epsilon=config.number("epsilon", 1e-3),
    )
    return elementwise(value, name)


def _kept_axes(config: LayerConfig, rank: int) -> tuple[int, ...]:
    if "axis" in config.values and config.values["axis"] in (None, []):
        return ()
    return tuple(sorted(own_axis(config, axis, rank) for axis in config.integers("axis", -1)))


def _given(config: LayerConfig) -> bool:
    return config.values.get("mean") is not None


def _normalization_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    if _given(config):
        return ()
    shape = inputs[0]
    kept: MaybeShape = None
    if shape is not None:
        kept = tuple(shape[axis] for axis in _kept_axes(config, len(shape)))
    return (
        Weight("mean", kept, TensorRole.OTHER, trainable=False),
        Weight("variance", kept, TensorRole.OTHER, trainable=False),
        Weight("count", (), TensorRole.OTHER, trainable=False),
    )


def _build_normalization(builder: LayerBuilder) -> Value:
    config = builder.config
    value = as_keras(builder, builder.input) if builder.repeated else builder.input
    if value.order is not None:
        value = as_keras(builder, value)
    kept = _kept_axes(config, value.rank)
    sizes = tuple(value.shape[axis] for axis in kept)
    order = _broadcast(value, kept)
    if _given(config):
        parts = []
        for key in ("mean", "variance"):
            given = np.asarray(config.values.get(key), dtype=np.float64)
            if given.size not in (1, math.prod(sizes)):
                builder.config.damaged(f"{key} has {given.size} numbers, not {math.prod(sizes)}")
            whole = np.broadcast_to(given.reshape(-1) if given.size == 1 else given.reshape(sizes), sizes)
            parts.append(order.apply(whole))
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


def _broadcast(value: Value, kept: tuple[int, ...]) -> Rearrangement:
    """From one number for each element along the kept axes to what broadcasts over the graph's value."""
    places = [axis for axis in value.axes if axis in kept]
    spread = tuple(value.shape[axis] if axis in kept else 1 for axis in value.axes)
    return Rearrangement(
        (
            Permute(tuple(kept.index(axis) for axis in places)),
            Reshape(tuple(value.shape[axis] for axis in places), spread),
        )
    )


KINDS = (
    LayerKind("Dense", _build_dense, _dense_shape, _dense_weights),
    LayerKind("BatchNormalization", _build_batch, weights=_batch_weights),
    LayerKind("LayerNormalization", _build_layer, weights=_layer_weights),
    LayerKind(
        "Normalization",
        _build_normalization,
        weights=_normalization_weights,
    ),
)
