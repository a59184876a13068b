"""Dense layers and normalisations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UnreadableInputError, UnsupportedError
from toolkit.tensors import TensorRole
from toolkit_keras.activations import activation_of, described_activation, emit_activation
from toolkit_keras.graph_builder import (
    Emission,
    Value,
    as_keras,
    elementwise,
    lay,
    plain,
    reordered,
)
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape, Weight, own_axis, size_of
from toolkit_keras.settings import Settings

# --- Dense ---------------------------------------------------------------------------------


def _dense_weights(settings: Settings, inputs: Inputs) -> tuple[Weight, ...]:
    units = settings.integer("units", minimum=1)
    kernel = Weight("kernel", (size_of(inputs[0], -1), units), TensorRole.KERNEL)
    if not settings.flag("use_bias", default=True):
        return (kernel,)
    return kernel, Weight("bias", (units,), TensorRole.BIAS)


def _dense_shape(settings: Settings, inputs: Inputs) -> MaybeShape:
    units = settings.integer("units", minimum=1)
    shape = inputs[0]
    return (units,) if not shape else (*shape[:-1], units)


def _dense_attributes(settings: Settings, _inputs: Inputs) -> Mapping[str, Any]:
    return {
        "units": settings.integer("units", minimum=1),
        "use_bias": settings.flag("use_bias", default=True),
        "activation": described_activation(settings),
    }


def _emit_dense(emission: Emission) -> Value:
    value = emission.input
    if value.rank != 1:
        value = as_keras(emission, value)
        kernel = emission.tensor("kernel")
        name = emission.add("MatMul", value.name, kernel, part="product" if emission.has("bias") else "")
        if emission.has("bias"):
            name = emission.add("Add", name, emission.tensor("bias"))
    else:
        if emission.repeated:
            value = as_keras(emission, value)
        operands = [emission.tensor("kernel", reordered(value.order))]
        if emission.has("bias"):
            operands.append(emission.tensor("bias"))
        name = emission.add("Gemm", value.name, *operands)
    return emit_activation(emission, plain(name, emission.output_shape), activation_of(emission.settings))


# --- BatchNormalization --------------------------------------------------------------------


def _axis_of(settings: Settings, shape: MaybeShape) -> int | None:
    """Keras' axis counted without the batch, where the number of axes is known."""
    axes = settings.integers("axis", -1)
    if len(axes) != 1:
        raise UnsupportedError(
            f"layer '{settings.layer}': batch normalisation over {len(axes)} axes", hint="supported: one axis"
        )
    return None if shape is None else own_axis(settings, axes[0], len(shape))


def _switched(settings: Settings, size: MaybeShape) -> tuple[Weight, ...]:
    """Gamma and beta, as far as they are switched on."""
    found = []
    if settings.flag("scale", default=True):
        found.append(Weight("gamma", size, TensorRole.SCALE))
    if settings.flag("center", default=True):
        found.append(Weight("beta", size, TensorRole.SHIFT))
    return tuple(found)


_RENORMALISATION = ("moving_stddev", "renorm_mean", "renorm_stddev")


def _batch_weights(settings: Settings, inputs: Inputs) -> tuple[Weight, ...]:
    axis = _axis_of(settings, inputs[0])
    size = (None if axis is None else size_of(inputs[0], axis),)
    # Training alone looks at what batch renormalisation counts besides.
    renormalised = _RENORMALISATION if settings.flag("renorm", default=False) else ()
    return (
        *_switched(settings, size),
        Weight("moving_mean", size, TensorRole.RUNNING_MEAN, trainable=False),
        Weight("moving_variance", size, TensorRole.RUNNING_VARIANCE, trainable=False),
        *(Weight(name, size, TensorRole.OTHER, trainable=False) for name in renormalised),
    )


def _batch_attributes(settings: Settings, inputs: Inputs) -> Mapping[str, Any]:
    axis = _axis_of(settings, inputs[0])
    return {
        "axis": settings.integers("axis", -1)[0] if axis is None else axis + 1,
        "epsilon": settings.number("epsilon", 1e-3),
        "scale": settings.flag("scale", default=True),
        "center": settings.flag("center", default=True),
    }


def _emit_batch(emission: Emission) -> Value:
    settings, value = emission.settings, emission.input
    axis = _axis_of(settings, value.shape)
    assert axis is not None
    if value.rank == 1:
        if emission.repeated:
            value = as_keras(emission, value)
        arrange = reordered(value.order)
    else:
        arrange = None
        others = tuple(other for other in value.axes if other != axis)
        value = lay(emission, value, (axis, *others))
    size = value.shape[axis]
    scale = (
        emission.tensor("gamma", arrange)
        if emission.has("gamma")
        else emission.constant(np.ones(size), "ones")
    )
    shift = (
        emission.tensor("beta", arrange)
        if emission.has("beta")
        else emission.constant(np.zeros(size), "zeros")
    )
    name = emission.add(
        "BatchNormalization",
        value.name,
        scale,
        shift,
        emission.tensor("moving_mean", arrange),
        emission.tensor("moving_variance", arrange),
        epsilon=settings.number("epsilon", 1e-3),
    )
    return elementwise(value, name)


# --- LayerNormalization --------------------------------------------------------------------


def _layer_axes(settings: Settings, rank: int) -> tuple[int, ...]:
    axes = tuple(own_axis(settings, axis, rank) for axis in settings.integers("axis", -1))
    if list(axes) != sorted(set(axes)):
        raise UnsupportedError(
            f"layer '{settings.layer}': axes {axes} out of order", hint="supported: rising axes"
        )
    return axes


def _layer_weights(settings: Settings, inputs: Inputs) -> tuple[Weight, ...]:
    shape = inputs[0]
    if settings.values.get("rms_scaling") is True:
        return (Weight("gamma", None, TensorRole.SCALE),)
    if shape is None:
        return _switched(settings, None)
    return _switched(settings, tuple(shape[axis] for axis in _layer_axes(settings, len(shape))))


def _layer_attributes(settings: Settings, inputs: Inputs) -> Mapping[str, Any]:
    shape = inputs[0]
    axes = settings.integers("axis", -1)
    return {
        "axis": list(axes) if shape is None else [axis + 1 for axis in _layer_axes(settings, len(shape))],
        "epsilon": settings.number("epsilon", 1e-3),
        "scale": settings.flag("scale", default=True),
        "center": settings.flag("center", default=True),
        "rms_scaling": settings.flag("rms_scaling", default=False),
    }


def _emit_layer(emission: Emission) -> Value:
    settings, value = emission.settings, emission.input
    if settings.flag("rms_scaling", default=False):
        emission.refuse("rms_scaling", "false")
    axes = _layer_axes(settings, value.rank)
    if emission.repeated:
        value = as_keras(emission, value)
    if value.rank == 1:
        arrange = reordered(value.order)
    else:
        arrange = None
        value = lay(emission, value, (*(axis for axis in value.axes if axis not in axes), *axes))
    sizes = tuple(value.shape[axis] for axis in axes)
    operands = [
        emission.tensor("gamma", arrange)
        if emission.has("gamma")
        else emission.constant(np.ones(sizes), "ones")
    ]
    if emission.has("beta"):
        operands.append(emission.tensor("beta", arrange))
    name = emission.add(
        "LayerNormalization",
        value.name,
        *operands,
        axis=-len(axes),
        epsilon=settings.number("epsilon", 1e-3),
    )
    return elementwise(value, name)


# --- Normalization -------------------------------------------------------------------------


def _kept_axes(settings: Settings, rank: int) -> tuple[int, ...]:
    if "axis" in settings.values and settings.values["axis"] in (None, []):
        return ()
    return tuple(sorted(own_axis(settings, axis, rank) for axis in settings.integers("axis", -1)))


def _given(settings: Settings) -> bool:
    return settings.values.get("mean") is not None


def _normalization_weights(settings: Settings, inputs: Inputs) -> tuple[Weight, ...]:
    if _given(settings):
        return ()
    shape = inputs[0]
    kept: MaybeShape = None
    if shape is not None:
        kept = tuple(shape[axis] for axis in _kept_axes(settings, len(shape)))
    return (
        Weight("mean", kept, TensorRole.OTHER, trainable=False),
        Weight("variance", kept, TensorRole.OTHER, trainable=False),
        Weight("count", (), TensorRole.OTHER, trainable=False),
    )


def _normalization_attributes(settings: Settings, inputs: Inputs) -> Mapping[str, Any]:
    shape = inputs[0]
    return {
        "axis": None if shape is None else [axis + 1 for axis in _kept_axes(settings, len(shape))],
        "invert": settings.flag("invert", default=False),
        "mean": settings.values.get("mean"),
        "variance": settings.values.get("variance"),
    }


def _emit_normalization(emission: Emission) -> Value:
    settings = emission.settings
    value = as_keras(emission, emission.input) if emission.repeated else emission.input
    if value.order is not None:
        value = as_keras(emission, value)
    kept = _kept_axes(settings, value.rank)
    spread = tuple(value.shape[axis] if axis in kept else 1 for axis in value.axes)
    sizes = tuple(value.shape[axis] for axis in kept)
    places = tuple(axis for axis in value.axes if axis in kept)
    if _given(settings):
        parts = []
        for key in ("mean", "variance"):
            given = np.asarray(settings.values.get(key), dtype=np.float64)
            if given.size not in (1, math.prod(sizes)):
                raise UnreadableInputError(
                    f"layer '{emission.layer}': {key} has {given.size} numbers, not {math.prod(sizes)}",
                    hint="the file's configuration is damaged",
                )
            whole = np.broadcast_to(given.reshape(-1) if given.size == 1 else given.reshape(sizes), sizes)
            parts.append(_spread(whole, kept, places, spread))
        mean = emission.constant(parts[0], "mean")
        deviation = emission.constant(np.maximum(np.sqrt(parts[1]), 1e-7), "deviation")
    else:
        arrange = partial(_spread, kept=kept, places=places, spread=spread)
        mean = emission.tensor("mean", arrange)
        root = emission.add("Sqrt", emission.tensor("variance", arrange), part="root")
        deviation = emission.add("Max", root, emission.constant(1e-7, "epsilon"), part="deviation")
    if settings.flag("invert", default=False):
        scaled = emission.add("Mul", value.name, deviation, part="scaled")
        return elementwise(value, emission.add("Add", scaled, mean))
    centred = emission.add("Sub", value.name, mean, part="centred")
    return elementwise(value, emission.add("Div", centred, deviation))


def _spread(
    array: NDArray[Any], kept: tuple[int, ...], places: tuple[int, ...], spread: tuple[int, ...]
) -> NDArray[Any]:
    """From one number for each element along the kept axes to what broadcasts over the graph's value."""
    return array.transpose([kept.index(axis) for axis in places]).reshape(spread)


KINDS = (
    LayerKind("Dense", _emit_dense, _dense_shape, _dense_weights, _dense_attributes),
    LayerKind("BatchNormalization", _emit_batch, weights=_batch_weights, attributes=_batch_attributes),
    LayerKind("LayerNormalization", _emit_layer, weights=_layer_weights, attributes=_layer_attributes),
    LayerKind(
        "Normalization",
        _emit_normalization,
        weights=_normalization_weights,
        attributes=_normalization_attributes,
    ),
)
