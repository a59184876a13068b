"""Convolutions over rows, images and volumes."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.graph import Permute, Rearrangement, Reshape
from toolkit.tensors import TensorRole
from toolkit_keras.activations import activated
from toolkit_keras.graph_builder import LayerBuilder, Value, channels_first
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape, Weight, bias_of
from toolkit_keras.windows import Window, after_window, channels_of, image_sizes, padding_of, resized


def _window(config: LayerConfig, dimensions: int) -> Window:
    paddings = ("valid", "same", "causal") if dimensions == 1 else ("valid", "same")
    return Window(
        size=config.sizes("kernel_size", dimensions),
        strides=config.sizes("strides", dimensions),
        dilation=config.sizes("dilation_rate", dimensions),
        padding=config.choice("padding", *paddings),
    )


def _expanded(config: LayerConfig, inputs: Inputs) -> int | None:
    """Channels that come out of a depthwise convolution."""
    channels = channels_of(config, inputs)
    return None if channels is None else channels * config.size("depth_multiplier", 1)


def _kernel(window: Window, name: str, inputs: int | None, outputs: int | None, *aliases: str) -> Weight:
    shape = (*window.size, inputs, outputs)
    return Weight(name, shape, TensorRole.KERNEL, aliases=aliases)


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
    spatial = range(len(builder.tensors[weight].shape) - 2)
    return builder.tensor(weight, Rearrangement((Permute((len(spatial) + 1, len(spatial), *spatial)),)))


def _depthwise_kernel(builder: LayerBuilder, weight: str) -> str:
    """(height, width, channels, multiplier) to (channels * multiplier, 1, height, width)."""
    *sizes, channels, multiplier = builder.tensors[weight].shape
    moved = Permute((len(sizes), len(sizes) + 1, *range(len(sizes))))
    joined = Reshape((channels, multiplier, *sizes), (channels * multiplier, 1, *sizes))
    return builder.tensor(weight, Rearrangement((moved, joined)))


def _full(dimensions: int) -> LayerKind:
    def shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
        return after_window(config, inputs, _window(config, dimensions), config.size("filters"))

    def weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
        channels, filters, groups = (
            channels_of(config, inputs),
            config.size("filters"),
            config.size("groups", 1),
        )
        if (channels is not None and channels % groups) or filters % groups:
            config.damaged(f"has {channels} channels and {filters} filters in {groups} groups")
        taken = None if channels is None else channels // groups
        kernel = _kernel(_window(config, dimensions), "kernel", taken, filters)
        return kernel, *bias_of(config, filters)

    def build(builder: LayerBuilder) -> Value:
        window, group = _window(builder.config, dimensions), builder.config.size("groups", 1)
        operands = (_full_kernel(builder, "kernel"), *builder.optional("bias"))
        return activated(builder, _convolve(builder, builder.input, window, group, *operands))

    return LayerKind(f"Conv{dimensions}D", build, shape, weights)


def _depthwise(dimensions: int) -> LayerKind:
    def shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
        return after_window(config, inputs, _window(config, dimensions), _expanded(config, inputs))

    def weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
        ends = channels_of(config, inputs), config.size("depth_multiplier", 1)
        kernel = _kernel(_window(config, dimensions), "kernel", *ends, "depthwise_kernel")
        return kernel, *bias_of(config, _expanded(config, inputs))

    def build(builder: LayerBuilder) -> Value:
        window, group = _window(builder.config, dimensions), builder.input.shape[builder.config.channel_axis]
        operands = (_depthwise_kernel(builder, "kernel"), *builder.optional("bias"))
        return activated(builder, _convolve(builder, builder.input, window, group, *operands))

    return LayerKind(f"DepthwiseConv{dimensions}D", build, shape, weights)


def _separable(dimensions: int) -> LayerKind:
    ones = (1,) * dimensions

    def shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
        return after_window(config, inputs, _window(config, dimensions), config.size("filters"))

    def weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
        ends = channels_of(config, inputs), config.size("depth_multiplier", 1)
        filters = config.size("filters")
        pointwise = (*ones, _expanded(config, inputs), filters)
        return (
            _kernel(_window(config, dimensions), "depthwise_kernel", *ends),
            Weight("pointwise_kernel", pointwise, TensorRole.KERNEL),
            *bias_of(config, filters),
        )

    def build(builder: LayerBuilder) -> Value:
        config, axis = builder.config, builder.config.channel_axis
        channels = builder.input.shape[axis]
        kernel = _depthwise_kernel(builder, "depthwise_kernel")
        window = _window(config, dimensions)
        value = _convolve(builder, builder.input, window, channels, kernel, part="depthwise")
        sizes = list(builder.output_shape)
        sizes[axis] = channels * config.size("depth_multiplier", 1)
        value = Value(value.name, tuple(sizes), value.axes)
        operands = (_full_kernel(builder, "pointwise_kernel"), *builder.optional("bias"))
        return activated(builder, _convolve(builder, value, Window(ones, ones, ones, "valid"), 1, *operands))

    return LayerKind(f"SeparableConv{dimensions}D", build, shape, weights)


def _transposed(dimensions: int) -> LayerKind:
    def shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
        window, extra = _window(config, dimensions), None
        if config.values.get("output_padding") is not None:
            extra = config.sizes("output_padding", dimensions, minimum=0)

        def enlarged(axis: int, size: int) -> int:
            kernel, stride = window.reach(axis), window.strides[axis]
            if extra is None:
                return size * stride + (max(kernel - stride, 0) if window.padding == "valid" else 0)
            padding = 2 * (kernel // 2) if window.padding == "same" else 0
            return (size - 1) * stride + kernel - padding + extra[axis]

        return resized(config, inputs, dimensions, config.size("filters"), enlarged)

    def weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
        ends = config.size("filters"), channels_of(config, inputs)
        return _kernel(_window(config, dimensions), "kernel", *ends), *bias_of(config, config.size("filters"))

    def build(builder: LayerBuilder) -> Value:
        config = builder.config
        window, value = _window(config, dimensions), builder.images()
        wanted = image_sizes(config, builder.output_shape, dimensions) or ()
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
            dilations=window.dilation,
            pads=(*(pixels // 2 for pixels in cut), *(pixels - pixels // 2 for pixels in cut)),
            output_padding=tuple(max(-pixels, 0) for pixels in surplus),
        )
        return activated(builder, Value(name, builder.output_shape, value.axes))

    return LayerKind(f"Conv{dimensions}DTranspose", build, shape, weights)


def _kinds() -> Iterator[LayerKind]:
    for dimensions in (1, 2, 3):
        yield _full(dimensions)
        yield _transposed(dimensions)
    for dimensions in (1, 2):
        yield _depthwise(dimensions)
        yield _separable(dimensions)


KINDS = tuple(_kinds())
