"""Convolutions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from toolkit.errors import UnreadableInputError
from toolkit.tensors import TensorRole
from toolkit_keras.activations import activation_of, described_activation, emit_activation
from toolkit_keras.graph_builder import Emission, Value, channels_first, transposed
from toolkit_keras.layer_kind import (
    Inputs,
    LayerKind,
    MaybeShape,
    Weight,
    channel_axis,
    require_rank,
    size_of,
)
from toolkit_keras.settings import Settings
from toolkit_keras.windows import Window, padding_of, with_spatial

_PADDINGS = ("valid", "same")


def _window(settings: Settings) -> Window:
    return Window(
        size=settings.pair("kernel_size", (1, 1)),
        strides=settings.pair("strides", (1, 1)),
        dilation=settings.pair("dilation_rate", (1, 1)),
        padding=settings.choice("padding", "valid", _PADDINGS),
    )


def _attributes(settings: Settings, _inputs: Inputs) -> dict[str, Any]:
    window = _window(settings)
    return {
        "kernel_size": list(window.size),
        "strides": list(window.strides),
        "dilation_rate": list(window.dilation),
        "padding": window.padding,
        "data_format": "channels_first" if channel_axis(settings) == 0 else "channels_last",
        "use_bias": settings.flag("use_bias", default=True),
        "activation": described_activation(settings),
    }


def _bias(settings: Settings, size: int | None) -> tuple[Weight, ...]:
    if not settings.flag("use_bias", default=True):
        return ()
    return (Weight("bias", (size,), TensorRole.BIAS),)


def _shape(settings: Settings, inputs: Inputs, channels: int | None) -> MaybeShape:
    shape = require_rank(settings, inputs[0], 3)
    return None if shape is None else with_spatial(settings, shape, _window(settings), channels)


def _kernel(name: str, shape: tuple[int | None, ...], *aliases: str) -> Weight:
    return Weight(name, shape, TensorRole.KERNEL, aliases=aliases, spatial=True)


def _convolve(
    emission: Emission, value: Value, window: Window, group: int, operands: tuple[str, ...], part: str = ""
) -> Value:
    """One Conv node; the kernel's first axis in the graph is the outputs."""
    axis = channel_axis(emission.settings)
    value = channels_first(emission, value, axis)
    height, width = value.graph_shape[1:]
    before, after = padding_of(window, (height, width))
    name = emission.add(
        "Conv",
        value.name,
        *operands,
        part=part,
        kernel_shape=window.size,
        strides=window.strides,
        dilations=window.dilation,
        pads=(*before, *after),
        group=group,
    )
    return Value(name, emission.output_shape, value.axes)


def _biased(emission: Emission) -> tuple[str, ...]:
    return (emission.tensor("bias"),) if emission.has("bias") else ()


# --- Conv2D --------------------------------------------------------------------------------


def _conv2d_weights(settings: Settings, inputs: Inputs) -> tuple[Weight, ...]:
    channels = size_of(inputs[0], channel_axis(settings))
    groups = settings.integer("groups", 1, minimum=1)
    filters = settings.integer("filters", minimum=1)
    if (channels is not None and channels % groups) or filters % groups:
        raise UnreadableInputError(
            f"layer '{settings.layer}': {channels} channels and {filters} filters in {groups} groups",
            hint="the file's configuration is damaged",
        )
    height, width = _window(settings).size
    return (
        _kernel("kernel", (height, width, None if channels is None else channels // groups, filters)),
        *_bias(settings, filters),
    )


def _conv2d_attributes(settings: Settings, inputs: Inputs) -> Mapping[str, Any]:
    return _attributes(settings, inputs) | {
        "filters": settings.integer("filters", minimum=1),
        "groups": settings.integer("groups", 1, minimum=1),
    }


def _emit_conv2d(emission: Emission) -> Value:
    kernel = emission.tensor("kernel", transposed((3, 2, 0, 1)))
    group = emission.settings.integer("groups", 1, minimum=1)
    value = _convolve(
        emission, emission.input, _window(emission.settings), group, (kernel, *_biased(emission))
    )
    return emit_activation(emission, value, activation_of(emission.settings))


# --- DepthwiseConv2D -----------------------------------------------------------------------


def _depth(settings: Settings, inputs: Inputs) -> tuple[int | None, int]:
    """Channels coming in, and how many come out of each."""
    return size_of(inputs[0], channel_axis(settings)), settings.integer("depth_multiplier", 1, minimum=1)


def _depthwise_weights(settings: Settings, inputs: Inputs) -> tuple[Weight, ...]:
    channels, multiplier = _depth(settings, inputs)
    height, width = _window(settings).size
    outputs = None if channels is None else channels * multiplier
    kernel = _kernel("kernel", (height, width, channels, multiplier), "depthwise_kernel")
    return (kernel, *_bias(settings, outputs))


def _depthwise_shape(settings: Settings, inputs: Inputs) -> MaybeShape:
    channels, multiplier = _depth(settings, inputs)
    return _shape(settings, inputs, None if channels is None else channels * multiplier)


def _depthwise_attributes(settings: Settings, inputs: Inputs) -> Mapping[str, Any]:
    return _attributes(settings, inputs) | {"depth_multiplier": _depth(settings, inputs)[1]}


def _arrange_depthwise(kernel: NDArray[Any]) -> NDArray[Any]:
    """(height, width, channels, multiplier) to (channels * multiplier, 1, height, width)."""
    height, width, channels, multiplier = kernel.shape
    return kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)


def _emit_depthwise(emission: Emission) -> Value:
    channels = emission.input.shape[channel_axis(emission.settings)]
    kernel = emission.tensor("kernel", _arrange_depthwise)
    window = _window(emission.settings)
    value = _convolve(emission, emission.input, window, channels, (kernel, *_biased(emission)))
    return emit_activation(emission, value, activation_of(emission.settings))


# --- SeparableConv2D -----------------------------------------------------------------------


def _separable_weights(settings: Settings, inputs: Inputs) -> tuple[Weight, ...]:
    channels, multiplier = _depth(settings, inputs)
    filters = settings.integer("filters", minimum=1)
    height, width = _window(settings).size
    between = None if channels is None else channels * multiplier
    return (
        _kernel("depthwise_kernel", (height, width, channels, multiplier)),
        _kernel("pointwise_kernel", (1, 1, between, filters)),
        *_bias(settings, filters),
    )


def _separable_attributes(settings: Settings, inputs: Inputs) -> Mapping[str, Any]:
    return dict(_depthwise_attributes(settings, inputs)) | {"filters": settings.integer("filters", minimum=1)}


def _emit_separable(emission: Emission) -> Value:
    settings = emission.settings
    axis = channel_axis(settings)
    channels = emission.input.shape[axis]
    between = channels * settings.integer("depth_multiplier", 1, minimum=1)
    depthwise = emission.tensor("depthwise_kernel", _arrange_depthwise)
    value = _convolve(emission, emission.input, _window(settings), channels, (depthwise,), part="depthwise")
    shape = list(emission.output_shape)
    shape[axis] = between
    value = Value(value.name, tuple(shape), value.axes)
    pointwise = emission.tensor("pointwise_kernel", transposed((3, 2, 0, 1)))
    unit = Window((1, 1), (1, 1), (1, 1), "valid")
    value = _convolve(emission, value, unit, 1, (pointwise, *_biased(emission)))
    return emit_activation(emission, value, activation_of(settings))


# --- Conv2DTranspose -----------------------------------------------------------------------


def _output_padding(settings: Settings) -> tuple[int, int] | None:
    if settings.values.get("output_padding") is None:
        return None
    (top, _), (left, _) = settings.margins("output_padding")
    return top, left


def _transpose_sizes(settings: Settings, sizes: tuple[int, int]) -> tuple[int, int]:
    """Height and width after a transposed convolution, as Keras has them."""
    window, extra = _window(settings), _output_padding(settings)
    found = []
    for axis in (0, 1):
        size, kernel, stride = sizes[axis], window.reach(axis), window.strides[axis]
        if extra is None:
            found.append(size * stride + (max(kernel - stride, 0) if window.padding == "valid" else 0))
        elif window.padding == "same":
            found.append((size - 1) * stride + kernel - 2 * (kernel // 2) + extra[axis])
        else:
            found.append((size - 1) * stride + kernel + extra[axis])
    return found[0], found[1]


def _transpose_shape(settings: Settings, inputs: Inputs) -> MaybeShape:
    shape = require_rank(settings, inputs[0], 3)
    if shape is None:
        return None
    filters = settings.integer("filters", minimum=1)
    first = channel_axis(settings) == 0
    height, width = shape[1:] if first else shape[:2]
    sizes: tuple[int | None, int | None] = (None, None)
    if height is not None and width is not None:
        sizes = _transpose_sizes(settings, (height, width))
    return (filters, *sizes) if first else (*sizes, filters)


def _transpose_weights(settings: Settings, inputs: Inputs) -> tuple[Weight, ...]:
    channels = size_of(inputs[0], channel_axis(settings))
    filters = settings.integer("filters", minimum=1)
    height, width = _window(settings).size
    return (_kernel("kernel", (height, width, filters, channels)), *_bias(settings, filters))


def _transpose_attributes(settings: Settings, inputs: Inputs) -> Mapping[str, Any]:
    extra = _output_padding(settings)
    return _attributes(settings, inputs) | {
        "filters": settings.integer("filters", minimum=1),
        "output_padding": None if extra is None else list(extra),
    }


def _emit_transpose(emission: Emission) -> Value:
    settings = emission.settings
    window = _window(settings)
    if _output_padding(settings) is not None or window.dilation != (1, 1):
        emission.refuse("output_padding or dilation in a transposed convolution", "neither of them")
    value = channels_first(emission, emission.input, channel_axis(settings))
    height, width = value.graph_shape[1:]
    wanted = _transpose_sizes(settings, (height, width))
    before, after, missing = [], [], []
    for axis, size in enumerate((height, width)):
        full = (size - 1) * window.strides[axis] + window.reach(axis)
        cut = max(full - wanted[axis], 0)
        missing.append(max(wanted[axis] - full, 0))
        before.append(cut // 2)
        after.append(cut - cut // 2)
    kernel = emission.tensor("kernel", transposed((3, 2, 0, 1)))
    name = emission.add(
        "ConvTranspose",
        value.name,
        kernel,
        *_biased(emission),
        kernel_shape=window.size,
        strides=window.strides,
        pads=(*before, *after),
        output_padding=tuple(missing),
    )
    return emit_activation(emission, Value(name, emission.output_shape, value.axes), activation_of(settings))


def _filters_shape(settings: Settings, inputs: Inputs) -> MaybeShape:
    return _shape(settings, inputs, settings.integer("filters", minimum=1))


KINDS = (
    LayerKind("Conv2D", _emit_conv2d, _filters_shape, _conv2d_weights, _conv2d_attributes),
    LayerKind(
        "DepthwiseConv2D", _emit_depthwise, _depthwise_shape, _depthwise_weights, _depthwise_attributes
    ),
    LayerKind("SeparableConv2D", _emit_separable, _filters_shape, _separable_weights, _separable_attributes),
    LayerKind(
        "Conv2DTranspose", _emit_transpose, _transpose_shape, _transpose_weights, _transpose_attributes
    ),
)
