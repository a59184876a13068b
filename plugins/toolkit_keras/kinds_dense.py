"""Dense layers and normalisations."""

from __future__ import annotations

import math

import numpy as np

from toolkit.tensors import TensorRole
from toolkit_keras.activations import activated
from toolkit_keras.graph_builder import LayerBuilder, Value, as_keras, elementwise, lay, plain
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape, Weight, bias_of, size_of

_RENORMALISATION = ("moving_stddev", "renorm_mean", "renorm_stddev")


def _dense_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    units = config.size("units")
    return Weight("kernel", (size_of(inputs[0], -1), units), TensorRole.KERNEL), *bias_of(config, units)


def _dense_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    return (*(inputs[0] or ())[:-1], config.size("units"))


def _build_dense(builder: LayerBuilder) -> Value:
    value = builder.ordered_input()
    bias = builder.optional("bias")
    if value.rank == 1:
        name = builder.add("Gemm", value.name, builder.tensor("kernel", value.order), *bias)
    else:
        value = as_keras(builder, value)
        name = builder.add("MatMul", value.name, builder.tensor("kernel"), part="product" if bias else "")
        if bias:
            name = builder.add("Add", name, *bias)
    return activated(builder, plain(name, builder.output_shape))


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
    if config.values.get("rms_scaling") is True:
        return (Weight("gamma", None, TensorRole.SCALE),)
    if shape is not None:
        shape = tuple(shape[axis] for axis in _layer_axes(config, len(shape)))
    return _scale_and_shift(config, shape)


def _build_layer(builder: LayerBuilder) -> Value:
    config = builder.config
    if config.flag("rms_scaling", default=False):
        config.refuse("rms_scaling", "false")
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
    LayerKind("Dense", _build_dense, _dense_shape, _dense_weights),
    LayerKind("BatchNormalization", _build_batch, weights=_batch_weights),
    LayerKind("LayerNormalization", _build_layer, weights=_layer_weights),
    LayerKind("Normalization", _build_normalization, weights=_normalization_weights),
)
