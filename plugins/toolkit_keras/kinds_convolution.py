"""Convolutions."""

from __future__ import annotations

from toolkit.graph import Permute, Rearrangement, Reshape
from toolkit.tensors import TensorRole
from toolkit_keras.activations import activation_of, add_activation
from toolkit_keras.graph_builder import LayerBuilder, Value, channels_first
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape, Weight, channel_axis, size_of
from toolkit_keras.windows import Window, after_window, image_shape, image_sizes, padding_of


def _window(config: LayerConfig) -> Window:
    return Window(
        size=config.pair("kernel_size", (1, 1)),
        strides=config.pair("strides", (1, 1)),
        dilation=config.pair("dilation_rate", (1, 1)),
        padding=config.choice("padding", "valid", ("valid", "same")),
    )


def _filters(config: LayerConfig) -> int:
    return config.integer("filters", minimum=1)


def _channels(config: LayerConfig, inputs: Inputs) -> int | None:
    return size_of(inputs[0], channel_axis(config))


def _expanded(config: LayerConfig, channels: int | None) -> int | None:
    """Channels that come out of a depthwise convolution."""
    return None if channels is None else channels * _multiplier(config)


def _multiplier(config: LayerConfig) -> int:
    return config.integer("depth_multiplier", 1, minimum=1)


def _kernel(config: LayerConfig, name: str, inputs: int | None, outputs: int | None, *aliases: str) -> Weight:
    shape = (*_window(config).size, inputs, outputs)
    return Weight(name, shape, TensorRole.KERNEL, aliases=aliases, spatial=True)


def _bias(config: LayerConfig, size: int | None) -> tuple[Weight, ...]:
    used = config.flag("use_bias", default=True)
    return (Weight("bias", (size,), TensorRole.BIAS),) if used else ()


def _filters_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    return after_window(config, inputs, _window(config), _filters(config))


def _convolve(
    builder: LayerBuilder, value: Value, window: Window, group: int, operands: tuple[str, ...], part: str = ""
) -> Value:
    """One Conv node; the kernel's first axis in the graph is the outputs."""
    value = channels_first(builder, value, channel_axis(builder.config))
    name = builder.add(
        "Conv",
        value.name,
        *operands,
        part=part,
        kernel_shape=window.size,
        strides=window.strides,
        dilations=window.dilation,
        pads=padding_of(window, value.graph_shape[1:]),
        group=group,
    )
    return Value(name, builder.output_shape, value.axes)


def _biased(builder: LayerBuilder) -> tuple[str, ...]:
    return (builder.tensor("bias"),) if builder.has("bias") else ()


def _full_kernel(builder: LayerBuilder, weight: str) -> str:
    """(height, width, inputs, outputs) to (outputs, inputs, height, width)."""
    return builder.tensor(weight, Rearrangement((Permute((3, 2, 0, 1)),)))


def _depthwise_kernel(builder: LayerBuilder, weight: str) -> str:
    """(height, width, channels, multiplier) to (channels * multiplier, 1, height, width)."""
    height, width, channels, multiplier = builder.tensors[weight].shape
    joined = Reshape((channels, multiplier, height, width), (channels * multiplier, 1, height, width))
    return builder.tensor(weight, Rearrangement((Permute((2, 3, 0, 1)), joined)))


def _activated(builder: LayerBuilder, value: Value) -> Value:
    return add_activation(builder, value, activation_of(builder.config))


def _conv2d_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    channels, filters = _channels(config, inputs), _filters(config)
    groups = config.integer("groups", 1, minimum=1)
    if (channels is not None and channels % groups) or filters % groups:
        config.damaged(f"has {channels} channels and {filters} filters in {groups} groups")
    taken = None if channels is None else channels // groups
    return _kernel(config, "kernel", taken, filters), *_bias(config, filters)


def _build_conv2d(builder: LayerBuilder) -> Value:
    operands = (_full_kernel(builder, "kernel"), *_biased(builder))
    group = builder.config.integer("groups", 1, minimum=1)
    return _activated(builder, _convolve(builder, builder.input, _window(builder.config), group, operands))


def _depthwise_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    channels = _channels(config, inputs)
    kernel = _kernel(config, "kernel", channels, _multiplier(config), "depthwise_kernel")
    return kernel, *_bias(config, _expanded(config, channels))


def _depthwise_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    return after_window(config, inputs, _window(config), _expanded(config, _channels(config, inputs)))


def _build_depthwise(builder: LayerBuilder) -> Value:
    operands = (_depthwise_kernel(builder, "kernel"), *_biased(builder))
    group = builder.input.shape[channel_axis(builder.config)]
    return _activated(builder, _convolve(builder, builder.input, _window(builder.config), group, operands))


def _separable_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    channels, filters = _channels(config, inputs), _filters(config)
    pointwise = (1, 1, _expanded(config, channels), filters)
    return (
        _kernel(config, "depthwise_kernel", channels, _multiplier(config)),
        Weight("pointwise_kernel", pointwise, TensorRole.KERNEL, spatial=True),
        *_bias(config, filters),
    )


def _build_separable(builder: LayerBuilder) -> Value:
    config = builder.config
    axis = channel_axis(config)
    channels = builder.input.shape[axis]
    depthwise = (_depthwise_kernel(builder, "depthwise_kernel"),)
    value = _convolve(builder, builder.input, _window(config), channels, depthwise, part="depthwise")
    shape = list(builder.output_shape)
    shape[axis] = channels * _multiplier(config)
    value = Value(value.name, tuple(shape), value.axes)
    operands = (_full_kernel(builder, "pointwise_kernel"), *_biased(builder))
    unit = Window((1, 1), (1, 1), (1, 1), "valid")
    return _activated(builder, _convolve(builder, value, unit, 1, operands))


def _output_padding(config: LayerConfig) -> tuple[int, int] | None:
    if config.values.get("output_padding") is None:
        return None
    (top, _), (left, _) = config.margins("output_padding")
    return top, left


def _transpose_size(config: LayerConfig, axis: int, size: int | None) -> int | None:
    """Height (0) or width (1) after a transposed convolution, as Keras computes it."""
    if size is None:
        return None
    window, extra = _window(config), _output_padding(config)
    kernel, stride = window.reach(axis), window.strides[axis]
    if extra is None:
        return size * stride + (max(kernel - stride, 0) if window.padding == "valid" else 0)
    padding = 2 * (kernel // 2) if window.padding == "same" else 0
    return (size - 1) * stride + kernel - padding + extra[axis]


def _transpose_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    sizes = image_sizes(config, inputs[0])
    if sizes is None:
        return None
    sizes = _transpose_size(config, 0, sizes[0]), _transpose_size(config, 1, sizes[1])
    return image_shape(config, _filters(config), sizes)


def _transpose_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    kernel = _kernel(config, "kernel", _filters(config), _channels(config, inputs))
    return kernel, *_bias(config, _filters(config))


def _build_transpose(builder: LayerBuilder) -> Value:
    config = builder.config
    window = _window(config)
    if _output_padding(config) is not None or window.dilation != (1, 1):
        builder.refuse("output_padding or dilation in a transposed convolution", "neither of them")
    value = channels_first(builder, builder.input, channel_axis(config))
    wanted = image_sizes(config, builder.output_shape) or ()
    before, after, missing = [], [], []
    for axis, size in enumerate(value.graph_shape[1:]):
        full = (size - 1) * window.strides[axis] + window.reach(axis)
        surplus = full - (wanted[axis] or 0)
        missing.append(max(-surplus, 0))
        before.append(max(surplus, 0) // 2)
        after.append(max(surplus, 0) - before[-1])
    name = builder.add(
        "ConvTranspose",
        value.name,
        _full_kernel(builder, "kernel"),
        *_biased(builder),
        kernel_shape=window.size,
        strides=window.strides,
        pads=(*before, *after),
        output_padding=tuple(missing),
    )
    return _activated(builder, Value(name, builder.output_shape, value.axes))


KINDS = (
    LayerKind("Conv2D", _build_conv2d, _filters_shape, _conv2d_weights),
    LayerKind("DepthwiseConv2D", _build_depthwise, _depthwise_shape, _depthwise_weights),
    LayerKind("SeparableConv2D", _build_separable, _filters_shape, _separable_weights),
    LayerKind("Conv2DTranspose", _build_transpose, _transpose_shape, _transpose_weights),
)
