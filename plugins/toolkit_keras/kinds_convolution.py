"""Convolutions."""

from __future__ import annotations

from toolkit.errors import UnreadableInputError
from toolkit.graph import Permute, Rearrangement, Reshape
from toolkit.tensors import TensorRole
from toolkit_keras.activations import activation_of, add_activation
from toolkit_keras.graph_builder import LayerBuilder, Value, channels_first
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import (
    Inputs,
    LayerKind,
    MaybeShape,
    Weight,
    channel_axis,
    require_rank,
    size_of,
)
from toolkit_keras.windows import Window, padding_of, with_spatial

_PADDINGS = ("valid", "same")


def _window(config: LayerConfig) -> Window:
    return Window(
        size=config.pair("kernel_size", (1, 1)),
        strides=config.pair("strides", (1, 1)),
        dilation=config.pair("dilation_rate", (1, 1)),
        padding=config.choice("padding", "valid", _PADDINGS),
    )


def _bias(config: LayerConfig, size: int | None) -> tuple[Weight, ...]:
    if not config.flag("use_bias", default=True):
        return ()
    return (Weight("bias", (size,), TensorRole.BIAS),)


def _shape(config: LayerConfig, inputs: Inputs, channels: int | None) -> MaybeShape:
    shape = require_rank(config, inputs[0], 3)
    return None if shape is None else with_spatial(config, shape, _window(config), channels)


def _kernel(name: str, shape: tuple[int | None, ...], *aliases: str) -> Weight:
    return Weight(name, shape, TensorRole.KERNEL, aliases=aliases, spatial=True)


def _convolve(
    builder: LayerBuilder, value: Value, window: Window, group: int, operands: tuple[str, ...], part: str = ""
) -> Value:
    """One Conv node; the kernel's first axis in the graph is the outputs."""
    axis = channel_axis(builder.config)
    value = channels_first(builder, value, axis)
    height, width = value.graph_shape[1:]
    before, after = padding_of(window, (height, width))
    name = builder.add(
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
    return Value(name, builder.output_shape, value.axes)


def _biased(builder: LayerBuilder) -> tuple[str, ...]:
    return (builder.tensor("bias"),) if builder.has("bias") else ()


# --- Conv2D --------------------------------------------------------------------------------


def _conv2d_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    channels = size_of(inputs[0], channel_axis(config))
    groups = config.integer("groups", 1, minimum=1)
    filters = config.integer("filters", minimum=1)
    if (channels is not None and channels % groups) or filters % groups:
        raise UnreadableInputError(
            f"layer '{config.layer}': {channels} channels and {filters} filters in {groups} groups",
            hint="the file's configuration is damaged",
        )
    height, width = _window(config).size
    return (
        _kernel("kernel", (height, width, None if channels is None else channels // groups, filters)),
        *_bias(config, filters),
    )


def _build_conv2d(builder: LayerBuilder) -> Value:
    kernel = _convolution_kernel(builder, "kernel")
    group = builder.config.integer("groups", 1, minimum=1)
    value = _convolve(builder, builder.input, _window(builder.config), group, (kernel, *_biased(builder)))
    return add_activation(builder, value, activation_of(builder.config))


# --- DepthwiseConv2D -----------------------------------------------------------------------


def _depth(config: LayerConfig, inputs: Inputs) -> tuple[int | None, int]:
    """Channels coming in, and how many come out of each."""
    return size_of(inputs[0], channel_axis(config)), config.integer("depth_multiplier", 1, minimum=1)


def _depthwise_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    channels, multiplier = _depth(config, inputs)
    height, width = _window(config).size
    outputs = None if channels is None else channels * multiplier
    kernel = _kernel("kernel", (height, width, channels, multiplier), "depthwise_kernel")
    return (kernel, *_bias(config, outputs))


def _depthwise_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    channels, multiplier = _depth(config, inputs)
    return _shape(config, inputs, None if channels is None else channels * multiplier)


def _depthwise_kernel(builder: LayerBuilder, weight: str) -> str:
    """(height, width, channels, multiplier) to (channels * multiplier, 1, height, width)."""
    height, width, channels, multiplier = builder.tensors[weight].shape
    joined = Reshape((channels, multiplier, height, width), (channels * multiplier, 1, height, width))
    return builder.tensor(weight, Rearrangement((Permute((2, 3, 0, 1)), joined)))


def _convolution_kernel(builder: LayerBuilder, weight: str) -> str:
    """(height, width, inputs, outputs) to (outputs, inputs, height, width)."""
    return builder.tensor(weight, Rearrangement((Permute((3, 2, 0, 1)),)))


def _build_depthwise(builder: LayerBuilder) -> Value:
    channels = builder.input.shape[channel_axis(builder.config)]
    kernel = _depthwise_kernel(builder, "kernel")
    window = _window(builder.config)
    value = _convolve(builder, builder.input, window, channels, (kernel, *_biased(builder)))
    return add_activation(builder, value, activation_of(builder.config))


# --- SeparableConv2D -----------------------------------------------------------------------


def _separable_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    channels, multiplier = _depth(config, inputs)
    filters = config.integer("filters", minimum=1)
    height, width = _window(config).size
    between = None if channels is None else channels * multiplier
    return (
        _kernel("depthwise_kernel", (height, width, channels, multiplier)),
        _kernel("pointwise_kernel", (1, 1, between, filters)),
        *_bias(config, filters),
    )


def _build_separable(builder: LayerBuilder) -> Value:
    config = builder.config
    axis = channel_axis(config)
    channels = builder.input.shape[axis]
    between = channels * config.integer("depth_multiplier", 1, minimum=1)
    depthwise = _depthwise_kernel(builder, "depthwise_kernel")
    value = _convolve(builder, builder.input, _window(config), channels, (depthwise,), part="depthwise")
    shape = list(builder.output_shape)
    shape[axis] = between
    value = Value(value.name, tuple(shape), value.axes)
    pointwise = _convolution_kernel(builder, "pointwise_kernel")
    unit = Window((1, 1), (1, 1), (1, 1), "valid")
    value = _convolve(builder, value, unit, 1, (pointwise, *_biased(builder)))
    return add_activation(builder, value, activation_of(config))


# --- Conv2DTranspose -----------------------------------------------------------------------


def _output_padding(config: LayerConfig) -> tuple[int, int] | None:
    if config.values.get("output_padding") is None:
        return None
    (top, _), (left, _) = config.margins("output_padding")
    return top, left


def _transpose_sizes(config: LayerConfig, sizes: tuple[int, int]) -> tuple[int, int]:
    """Height and width after a transposed convolution, as Keras has them."""
    window, extra = _window(config), _output_padding(config)
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


def _transpose_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    shape = require_rank(config, inputs[0], 3)
    if shape is None:
        return None
    filters = config.integer("filters", minimum=1)
    first = channel_axis(config) == 0
    height, width = shape[1:] if first else shape[:2]
    sizes: tuple[int | None, int | None] = (None, None)
    if height is not None and width is not None:
        sizes = _transpose_sizes(config, (height, width))
    return (filters, *sizes) if first else (*sizes, filters)


def _transpose_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    channels = size_of(inputs[0], channel_axis(config))
    filters = config.integer("filters", minimum=1)
    height, width = _window(config).size
    return (_kernel("kernel", (height, width, filters, channels)), *_bias(config, filters))


def _build_transpose(builder: LayerBuilder) -> Value:
    config = builder.config
    window = _window(config)
    if _output_padding(config) is not None or window.dilation != (1, 1):
        builder.refuse("output_padding or dilation in a transposed convolution", "neither of them")
    value = channels_first(builder, builder.input, channel_axis(config))
    height, width = value.graph_shape[1:]
    wanted = _transpose_sizes(config, (height, width))
    before, after, missing = [], [], []
    for axis, size in enumerate((height, width)):
        full = (size - 1) * window.strides[axis] + window.reach(axis)
        cut = max(full - wanted[axis], 0)
        missing.append(max(wanted[axis] - full, 0))
        before.append(cut // 2)
        after.append(cut - cut // 2)
    kernel = _convolution_kernel(builder, "kernel")
    name = builder.add(
        "ConvTranspose",
        value.name,
        kernel,
        *_biased(builder),
        kernel_shape=window.size,
        strides=window.strides,
        pads=(*before, *after),
        output_padding=tuple(missing),
    )
    return add_activation(builder, Value(name, builder.output_shape, value.axes), activation_of(config))


def _filters_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    return _shape(config, inputs, config.integer("filters", minimum=1))


KINDS = (
    LayerKind("Conv2D", _build_conv2d, _filters_shape, _conv2d_weights),
    LayerKind("DepthwiseConv2D", _build_depthwise, _depthwise_shape, _depthwise_weights),
    LayerKind("SeparableConv2D", _build_separable, _filters_shape, _separable_weights),
    LayerKind("Conv2DTranspose", _build_transpose, _transpose_shape, _transpose_weights),
)
