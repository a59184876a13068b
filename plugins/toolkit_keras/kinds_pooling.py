"""Pooling, and other layers that slide over or cut images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from toolkit_keras.graph_builder import LayerBuilder, Value, channels_first, plain
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape, channel_axis, require_rank, size_of
from toolkit_keras.windows import Window, after_window, image_shape, image_sizes, padding_of


def _window(config: LayerConfig) -> Window:
    size = config.pair("pool_size", (2, 2))
    padding = config.choice("padding", "valid", ("valid", "same"))
    return Window(size, config.pair("strides", size), (1, 1), padding)


def _pool_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    return after_window(config, inputs, _window(config), size_of(inputs[0], channel_axis(config)))


def _pool(operator: str, **attributes: Any) -> Callable[[LayerBuilder], Value]:
    def build(builder: LayerBuilder) -> Value:
        window = _window(builder.config)
        value = channels_first(builder, builder.input, channel_axis(builder.config))
        pads = padding_of(window, value.graph_shape[1:])
        sliding: dict[str, Any] = {"kernel_shape": window.size, "strides": window.strides, "pads": pads}
        name = builder.add(operator, value.name, **sliding, **attributes)
        return Value(name, builder.output_shape, value.axes)

    return build


def _global_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    channels = size_of(require_rank(config, inputs[0], 3), channel_axis(config))
    keep = config.flag("keepdims", default=False)
    return image_shape(config, channels, (1, 1)) if keep else (channels,)


def _global_pool(operator: str) -> Callable[[LayerBuilder], Value]:
    def build(builder: LayerBuilder) -> Value:
        value = channels_first(builder, builder.input, channel_axis(builder.config))
        keep = builder.config.flag("keepdims", default=False)
        name = builder.add(operator, value.name, part="" if keep else "pooled")
        if keep:
            return Value(name, builder.output_shape, value.axes)
        return plain(builder.add("Flatten", name, axis=1), builder.output_shape)

    return build


def _changed(config: LayerConfig, inputs: Inputs, change: Callable[[int, int], int]) -> MaybeShape:
    """The shape with height (0) and width (1) changed."""
    sizes = image_sizes(config, inputs[0])
    if sizes is None:
        return None
    height, width = (None if size is None else change(axis, size) for axis, size in enumerate(sizes))
    if any(size is not None and size < 1 for size in (height, width)):
        config.damaged(f"leaves nothing of {sizes[0]}×{sizes[1]}")
    return image_shape(config, size_of(inputs[0], channel_axis(config)), (height, width))


def _padded_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    margins = config.margins("padding")
    return _changed(config, inputs, lambda axis, size: size + sum(margins[axis]))


def _cropped_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    margins = config.margins("cropping")
    return _changed(config, inputs, lambda axis, size: size - sum(margins[axis]))


def _resized_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    factors = config.pair("size", (2, 2))
    return _changed(config, inputs, lambda axis, size: size * factors[axis])


def _build_padding(builder: LayerBuilder) -> Value:
    value = channels_first(builder, builder.input, channel_axis(builder.config))
    (top, bottom), (left, right) = builder.config.margins("padding")
    pads = builder.whole_numbers((0, 0, top, left, 0, 0, bottom, right), "pads")
    return Value(builder.add("Pad", value.name, pads, mode="constant"), builder.output_shape, value.axes)


def _build_cropping(builder: LayerBuilder) -> Value:
    value = channels_first(builder, builder.input, channel_axis(builder.config))
    (top, bottom), (left, right) = builder.config.margins("cropping")
    height, width = value.graph_shape[1:]
    starts = builder.whole_numbers((top, left), "starts")
    ends = builder.whole_numbers((height - bottom, width - right), "ends")
    name = builder.add("Slice", value.name, starts, ends, builder.whole_numbers((2, 3), "axes"))
    return Value(name, builder.output_shape, value.axes)


_RESIZE = {
    "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    "nearest": {
        "mode": "nearest",
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    },
}


def _build_resizing(builder: LayerBuilder) -> Value:
    config = builder.config
    mode = _RESIZE[config.choice("interpolation", "nearest", ("nearest", "bilinear"))]
    value = channels_first(builder, builder.input, channel_axis(config))
    scales = builder.constant(np.array([1, 1, *config.pair("size", (2, 2))]), "scales")
    return Value(builder.add("Resize", value.name, "", scales, **mode), builder.output_shape, value.axes)


KINDS = (
    LayerKind("MaxPooling2D", _pool("MaxPool"), _pool_shape),
    LayerKind("AveragePooling2D", _pool("AveragePool", count_include_pad=0), _pool_shape),
    LayerKind("GlobalAveragePooling2D", _global_pool("GlobalAveragePool"), _global_shape),
    LayerKind("GlobalMaxPooling2D", _global_pool("GlobalMaxPool"), _global_shape),
    LayerKind("ZeroPadding2D", _build_padding, _padded_shape),
    LayerKind("Cropping2D", _build_cropping, _cropped_shape),
    LayerKind("UpSampling2D", _build_resizing, _resized_shape),
)
