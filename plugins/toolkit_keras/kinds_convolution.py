"""Convolutions."""

from __future__ import annotations

from toolkit.graph import Permute, Rearrangement, Reshape
from toolkit.tensors import TensorRole
from toolkit_keras.activations import activated
from toolkit_keras.graph_builder import LayerBuilder, Value, channels_first
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape, Weight, bias_of
from toolkit_keras.windows import Window, after_window, channels_of, image_sizes, padding_of, resized


def _window(config: LayerConfig) -> Window:
    return Window(
        size=config.pair("kernel_size", (1, 1)),
        strides=config.pair("strides", (1, 1)),
        dilation=config.pair("dilation_rate", (1, 1)),
        padding=config.choice("padding", "valid", "same"),
    )


def _expanded(config: LayerConfig, inputs: Inputs) -> int | None:
    """Channels that come out of a depthwise convolution."""
    channels = channels_of(config, inputs)
    return None if channels is None else channels * config.size("depth_multiplier", 1)


def _kernel(config: LayerConfig, name: str, inputs: int | None, outputs: int | None, *aliases: str) -> Weight:
    shape = (*_window(config).size, inputs, outputs)
    return Weight(name, shape, TensorRole.KERNEL, aliases=aliases, spatial=True)


def _convolve(
    builder: LayerBuilder, value: Value, window: Window, group: int, kernel: str, *bias: str, part: str = ""
) -> Value:
    """One Conv node; the kernel's first axis in the graph is the outputs."""
    value = channels_first(builder, value, builder.config.channel_axis)
    name = builder.add(
        "Conv",
        value.name,
        kernel,
        *bias,
        part=part,
        kernel_shape=window.size,
        strides=window.strides,
        dilations=window.dilation,
        pads=padding_of(window, value.graph_shape[1:]),
        group=group,
    )
    return Value(name, builder.output_shape, value.axes)


def _full_kernel(builder: LayerBuilder, weight: str) -> str:
    """(height, width, inputs, outputs) to (outputs, inputs, height, width)."""
    return builder.tensor(weight, Rearrangement((Permute((3, 2, 0, 1)),)))


def _depthwise_kernel(builder: LayerBuilder, weight: str) -> str:
    """(height, width, channels, multiplier) to (channels * multiplier, 1, height, width)."""
    height, width, channels, multiplier = builder.tensors[weight].shape
    joined = Reshape((channels, multiplier, height, width), (channels * multiplier, 1, height, width))
    return builder.tensor(weight, Rearrangement((Permute((2, 3, 0, 1)), joined)))


def _filters_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    return after_window(config, inputs, _window(config), config.size("filters"))


def _conv2d_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    channels, filters, groups = channels_of(config, inputs), config.size("filters"), config.size("groups", 1)
    if (channels is not None and channels % groups) or filters % groups:
        config.damaged(f"has {channels} channels and {filters} filters in {groups} groups")
    taken = None if channels is None else channels // groups
    return _kernel(config, "kernel", taken, filters), *bias_of(config, filters)


def _build_conv2d(builder: LayerBuilder) -> Value:
    window, group = _window(builder.config), builder.config.size("groups", 1)
    operands = (_full_kernel(builder, "kernel"), *builder.optional("bias"))
    return activated(builder, _convolve(builder, builder.input, window, group, *operands))


def _depthwise_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    channels = channels_of(config, inputs)
    kernel = _kernel(config, "kernel", channels, config.size("depth_multiplier", 1), "depthwise_kernel")
    return kernel, *bias_of(config, _expanded(config, inputs))


def _depthwise_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    return after_window(config, inputs, _window(config), _expanded(config, inputs))


def _build_depthwise(builder: LayerBuilder) -> Value:
    window, group = _window(builder.config), builder.input.shape[builder.config.channel_axis]
    operands = (_depthwise_kernel(builder, "kernel"), *builder.optional("bias"))
    return activated(builder, _convolve(builder, builder.input, window, group, *operands))


def _separable_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    filters = config.size("filters")
    pointwise = (1, 1, _expanded(config, inputs), filters)
    return (
        _kernel(config, "depthwise_kernel", channels_of(config, inputs), config.size("depth_multiplier", 1)),
        Weight("pointwise_kernel", pointwise, TensorRole.KERNEL, spatial=True),
        *bias_of(config, filters),
    )


def _build_separable(builder: LayerBuilder) -> Value:
    config, axis = builder.config, builder.config.channel_axis
    channels = builder.input.shape[axis]
    kernel = _depthwise_kernel(builder, "depthwise_kernel")
    value = _convolve(builder, builder.input, _window(config), channels, kernel, part="depthwise")
    shape = list(builder.output_shape)
    shape[axis] = channels * config.size("depth_multiplier", 1)
    value = Value(value.name, tuple(shape), value.axes)
    operands = (_full_kernel(builder, "pointwise_kernel"), *builder.optional("bias"))
    unit = Window((1, 1), (1, 1), (1, 1), "valid")
    return activated(builder, _convolve(builder, value, unit, 1, *operands))


def _transpose_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    window, extra = _window(config), None
    if config.values.get("output_padding") is not None:
        extra = config.pair("output_padding", (0, 0), minimum=0)

    def enlarged(axis: int, size: int) -> int:
        kernel, stride = window.reach(axis), window.strides[axis]
        if extra is None:
            return size * stride + (max(kernel - stride, 0) if window.padding == "valid" else 0)
        padding = 2 * (kernel // 2) if window.padding == "same" else 0
        return (size - 1) * stride + kernel - padding + extra[axis]

    return resized(config, inputs, config.size("filters"), enlarged)


def _transpose_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    kernel = _kernel(config, "kernel", config.size("filters"), channels_of(config, inputs))
    return kernel, *bias_of(config, config.size("filters"))


def _build_transpose(builder: LayerBuilder) -> Value:
    config = builder.config
    window = _window(config)
    if config.values.get("output_padding") is not None or window.dilation != (1, 1):
        builder.config.refuse("output_padding or dilation in a transposed convolution", "neither of them")
    value = builder.images()
    wanted = image_sizes(config, builder.output_shape) or ()
    surplus = [
        (size - 1) * window.strides[axis] + window.reach(axis) - (wanted[axis] or 0)
        for axis, size in enumerate(value.graph_shape[1:])
    ]
    cut = [max(pixels, 0) for pixels in surplus]
    name = builder.add(
        "ConvTranspose",
        value.name,
        _full_kernel(builder, "kernel"),
        *builder.optional("bias"),
        kernel_shape=window.size,
        strides=window.strides,
        pads=(*(pixels // 2 for pixels in cut), *(pixels - pixels // 2 for pixels in cut)),
        output_padding=tuple(max(-pixels, 0) for pixels in surplus),
    )
    return activated(builder, Value(name, builder.output_shape, value.axes))


KINDS = (
    LayerKind("Conv2D", _build_conv2d, _filters_shape, _conv2d_weights),
    LayerKind("DepthwiseConv2D", _build_depthwise, _depthwise_shape, _depthwise_weights),
    LayerKind("SeparableConv2D", _build_separable, _filters_shape, _separable_weights),
    LayerKind("Conv2DTranspose", _build_transpose, _transpose_shape, _transpose_weights),
)
