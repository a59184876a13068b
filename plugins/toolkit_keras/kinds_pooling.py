"""Pooling, and other layers that slide over or cut images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from toolkit.errors import UnreadableInputError
from toolkit_keras.graph_builder import LayerBuilder, Value, channels_first, plain
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape, channel_axis, require_rank, size_of
from toolkit_keras.windows import Window, padding_of, with_spatial

_Margins = tuple[tuple[int, int], tuple[int, int]]


def _format(config: LayerConfig) -> str:
    return "channels_first" if channel_axis(config) == 0 else "channels_last"


# --- pooling -------------------------------------------------------------------------------


def _window(config: LayerConfig) -> Window:
    size = config.pair("pool_size", (2, 2))
    padding = config.choice("padding", "valid", ("valid", "same"))
    return Window(size, config.pair("strides", size), (1, 1), padding)


def _pool_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    shape = require_rank(config, inputs[0], 3)
    if shape is None:
        return None
    return with_spatial(config, shape, _window(config), size_of(shape, channel_axis(config)))


def _pool(kind: str, **attributes: Any) -> Callable[[LayerBuilder], Value]:
    def build(builder: LayerBuilder) -> Value:
        window = _window(builder.config)
        value = channels_first(builder, builder.input, channel_axis(builder.config))
        height, width = value.graph_shape[1:]
        before, after = padding_of(window, (height, width))
        name = builder.add(
            kind,
            value.name,
            kernel_shape=window.size,
            strides=window.strides,
            pads=(*before, *after),
            **attributes,
        )
        return Value(name, builder.output_shape, value.axes)

    return build


# --- global pooling ------------------------------------------------------------------------


def _global_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    shape = require_rank(config, inputs[0], 3)
    axis = channel_axis(config)
    channels = size_of(shape, axis)
    if not config.flag("keepdims", default=False):
        return (channels,)
    return (channels, 1, 1) if axis == 0 else (1, 1, channels)


def _global_pool(kind: str) -> Callable[[LayerBuilder], Value]:
    def build(builder: LayerBuilder) -> Value:
        value = channels_first(builder, builder.input, channel_axis(builder.config))
        keep = builder.config.flag("keepdims", default=False)
        name = builder.add(kind, value.name, part="" if keep else "pooled")
        if keep:
            return Value(name, builder.output_shape, value.axes)
        return plain(builder.add("Flatten", name, axis=1), builder.output_shape)

    return build


# --- padding, cropping, growing ------------------------------------------------------------


def _spatial(config: LayerConfig, inputs: Inputs, change: Callable[[int, int], int]) -> MaybeShape:
    """The shape with height (0) and width (1) changed."""
    shape = require_rank(config, inputs[0], 3)
    if shape is None:
        return None
    first = channel_axis(config) == 0
    height, width = shape[1:] if first else shape[:2]
    sizes = tuple(None if size is None else change(axis, size) for axis, size in enumerate((height, width)))
    if any(size is not None and size < 1 for size in sizes):
        raise UnreadableInputError(
            f"layer '{config.layer}' leaves nothing of {height}×{width}",
            hint="the file's configuration is damaged",
        )
    return (shape[0], *sizes) if first else (*sizes, shape[2])


def _padded_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    margins = config.margins("padding")
    return _spatial(config, inputs, lambda axis, size: size + sum(margins[axis]))


def _cropped_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    margins = config.margins("cropping")
    return _spatial(config, inputs, lambda axis, size: size - sum(margins[axis]))


def _grown_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    factors = config.pair("size", (2, 2))
    return _spatial(config, inputs, lambda axis, size: size * factors[axis])


def _build_padding(builder: LayerBuilder) -> Value:
    value = channels_first(builder, builder.input, channel_axis(builder.config))
    (top, bottom), (left, right) = builder.config.margins("padding")
    pads = builder.whole_numbers((0, 0, top, left, 0, 0, bottom, right), "pads")
    name = builder.add("Pad", value.name, pads, mode="constant")
    return Value(name, builder.output_shape, value.axes)


def _build_cropping(builder: LayerBuilder) -> Value:
    value = channels_first(builder, builder.input, channel_axis(builder.config))
    (top, bottom), (left, right) = builder.config.margins("cropping")
    height, width = value.graph_shape[1:]
    starts = builder.whole_numbers((top, left), "starts")
    ends = builder.whole_numbers((height - bottom, width - right), "ends")
    name = builder.add("Slice", value.name, starts, ends, builder.whole_numbers((2, 3), "axes"))
    return Value(name, builder.output_shape, value.axes)


def _build_growing(builder: LayerBuilder) -> Value:
    config = builder.config
    linear = config.choice("interpolation", "nearest", ("nearest", "bilinear")) == "bilinear"
    value = channels_first(builder, builder.input, channel_axis(config))
    height, width = config.pair("size", (2, 2))
    scales = builder.constant(np.array([1, 1, height, width]), "scales")
    modes: dict[str, str] = (
        {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        if linear
        else {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    )
    name = builder.add("Resize", value.name, "", scales, **modes)
    return Value(name, builder.output_shape, value.axes)


KINDS = (
    LayerKind("MaxPooling2D", _pool("MaxPool"), _pool_shape),
    LayerKind(
        "AveragePooling2D",
        _pool("AveragePool", count_include_pad=0),
        _pool_shape,
    ),
    LayerKind(
        "GlobalAveragePooling2D",
        _global_pool("GlobalAveragePool"),
        _global_shape,
    ),
    LayerKind("GlobalMaxPooling2D", _global_pool("GlobalMaxPool"), _global_shape),
    LayerKind("ZeroPadding2D", _build_padding, _padded_shape),
    LayerKind("Cropping2D", _build_cropping, _cropped_shape),
    LayerKind("UpSampling2D", _build_growing, _grown_shape),
)
