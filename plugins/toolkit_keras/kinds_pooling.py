"""Pooling, and other layers that slide over or cut images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from toolkit_keras.graph_builder import LayerBuilder, Value, plain
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape
from toolkit_keras.windows import (
    Window,
    after_window,
    channels_of,
    image_shape,
    image_sizes,
    padding_of,
    resized,
)


def _window(config: LayerConfig) -> Window:
    size = config.pair("pool_size", (2, 2))
    return Window(size, config.pair("strides", size), (1, 1), config.choice("padding", "valid", "same"))


def _pool(name: str, operator: str, **attributes: Any) -> LayerKind:
    def shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
        return after_window(config, inputs, _window(config), channels_of(config, inputs))

    def build(builder: LayerBuilder) -> Value:
        window, value = _window(builder.config), builder.images()
        pads = padding_of(window, value.graph_shape[1:])
        sliding: dict[str, Any] = {"kernel_shape": window.size, "strides": window.strides, "pads": pads}
        name = builder.add(operator, value.name, **sliding, **attributes)
        return Value(name, builder.output_shape, value.axes)

    return LayerKind(name, build, shape)


def _global_pool(name: str, operator: str) -> LayerKind:
    def shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
        image_sizes(config, inputs[0])
        channels = channels_of(config, inputs)
        kept = config.flag("keepdims", default=False)
        return image_shape(config, channels, 1, 1) if kept else (channels,)

    def build(builder: LayerBuilder) -> Value:
        value = builder.images()
        if len(builder.output_shape) > 1:
            return Value(builder.add(operator, value.name), builder.output_shape, value.axes)
        pooled = builder.add(operator, value.name, part="pooled")
        return plain(builder.add("Flatten", pooled, axis=1), builder.output_shape)

    return LayerKind(name, build, shape)


def _resized_by(
    change: Callable[[LayerConfig, int, int], int],
) -> Callable[[LayerConfig, Inputs], MaybeShape]:
    """The shape after ``change(config, axis, size)`` of height (axis 0) and width (axis 1)."""
    return lambda config, inputs: resized(
        config, inputs, channels_of(config, inputs), lambda axis, size: change(config, axis, size)
    )


_padded = _resized_by(lambda config, axis, size: size + sum(config.margins("padding")[axis]))
_cropped = _resized_by(lambda config, axis, size: size - sum(config.margins("cropping")[axis]))
_enlarged = _resized_by(lambda config, axis, size: size * config.pair("size", (2, 2))[axis])


def _build_padding(builder: LayerBuilder) -> Value:
    value = builder.images()
    (top, bottom), (left, right) = builder.config.margins("padding")
    pads = builder.whole_numbers((0, 0, top, left, 0, 0, bottom, right), "pads")
    return Value(builder.add("Pad", value.name, pads, mode="constant"), builder.output_shape, value.axes)


def _build_cropping(builder: LayerBuilder) -> Value:
    value = builder.images()
    (top, bottom), (left, right) = builder.config.margins("cropping")
    height, width = value.graph_shape[1:]
    starts = builder.whole_numbers((top, left), "starts")
    ends = builder.whole_numbers((height - bottom, width - right), "ends")
    name = builder.add("Slice", value.name, starts, ends, builder.whole_numbers((2, 3), "axes"))
    return Value(name, builder.output_shape, value.axes)


_RESIZE = {
    "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    "nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
}


def _build_resizing(builder: LayerBuilder) -> Value:
    mode = _RESIZE[builder.config.choice("interpolation", "nearest", "bilinear")]
    value = builder.images()
    scales = builder.constant(np.array([1, 1, *builder.config.pair("size", (2, 2))]), "scales")
    return Value(builder.add("Resize", value.name, "", scales, **mode), builder.output_shape, value.axes)


KINDS = (
    _pool("MaxPooling2D", "MaxPool"),
    _pool("AveragePooling2D", "AveragePool", count_include_pad=0),
    _global_pool("GlobalAveragePooling2D", "GlobalAveragePool"),
    _global_pool("GlobalMaxPooling2D", "GlobalMaxPool"),
    LayerKind("ZeroPadding2D", _build_padding, _padded),
    LayerKind("Cropping2D", _build_cropping, _cropped),
    LayerKind("UpSampling2D", _build_resizing, _enlarged),
)
