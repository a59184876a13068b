"""Pooling, and other layers that slide over or cut images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from toolkit.errors import UnreadableInputError
from toolkit_keras.graph_builder import Emission, Value, channels_first, plain
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape, channel_axis, require_rank, size_of
from toolkit_keras.settings import Settings
from toolkit_keras.windows import Window, padding_of, with_spatial

_Margins = tuple[tuple[int, int], tuple[int, int]]


def _format(settings: Settings) -> str:
    return "channels_first" if channel_axis(settings) == 0 else "channels_last"


# --- pooling -------------------------------------------------------------------------------


def _window(settings: Settings) -> Window:
    size = settings.pair("pool_size", (2, 2))
    padding = settings.choice("padding", "valid", ("valid", "same"))
    return Window(size, settings.pair("strides", size), (1, 1), padding)


def _pool_shape(settings: Settings, inputs: Inputs) -> MaybeShape:
    shape = require_rank(settings, inputs[0], 3)
    if shape is None:
        return None
    return with_spatial(settings, shape, _window(settings), size_of(shape, channel_axis(settings)))


def _pool_attributes(settings: Settings, _inputs: Inputs) -> Mapping[str, Any]:
    window = _window(settings)
    return {
        "pool_size": list(window.size),
        "strides": list(window.strides),
        "padding": window.padding,
        "data_format": _format(settings),
    }


def _pool(kind: str, **attributes: Any) -> Callable[[Emission], Value]:
    def emit(emission: Emission) -> Value:
        window = _window(emission.settings)
        value = channels_first(emission, emission.input, channel_axis(emission.settings))
        height, width = value.graph_shape[1:]
        before, after = padding_of(window, (height, width))
        name = emission.add(
            kind,
            value.name,
            kernel_shape=window.size,
            strides=window.strides,
            pads=(*before, *after),
            **attributes,
        )
        return Value(name, emission.output_shape, value.axes)

    return emit


# --- global pooling ------------------------------------------------------------------------


def _global_shape(settings: Settings, inputs: Inputs) -> MaybeShape:
    shape = require_rank(settings, inputs[0], 3)
    axis = channel_axis(settings)
    channels = size_of(shape, axis)
    if not settings.flag("keepdims", default=False):
        return (channels,)
    return (channels, 1, 1) if axis == 0 else (1, 1, channels)


def _global_attributes(settings: Settings, _inputs: Inputs) -> Mapping[str, Any]:
    return {"keepdims": settings.flag("keepdims", default=False), "data_format": _format(settings)}


def _global_pool(kind: str) -> Callable[[Emission], Value]:
    def emit(emission: Emission) -> Value:
        value = channels_first(emission, emission.input, channel_axis(emission.settings))
        keep = emission.settings.flag("keepdims", default=False)
        name = emission.add(kind, value.name, part="" if keep else "pooled")
        if keep:
            return Value(name, emission.output_shape, value.axes)
        return plain(emission.add("Flatten", name, axis=1), emission.output_shape)

    return emit


# --- padding, cropping, growing ------------------------------------------------------------


def _spatial(settings: Settings, inputs: Inputs, change: Callable[[int, int], int]) -> MaybeShape:
    """The shape with height (0) and width (1) changed."""
    shape = require_rank(settings, inputs[0], 3)
    if shape is None:
        return None
    first = channel_axis(settings) == 0
    height, width = shape[1:] if first else shape[:2]
    sizes = tuple(None if size is None else change(axis, size) for axis, size in enumerate((height, width)))
    if any(size is not None and size < 1 for size in sizes):
        raise UnreadableInputError(
            f"layer '{settings.layer}' leaves nothing of {height}×{width}",
            hint="the file's configuration is damaged",
        )
    return (shape[0], *sizes) if first else (*sizes, shape[2])


def _padded_shape(settings: Settings, inputs: Inputs) -> MaybeShape:
    margins = settings.margins("padding")
    return _spatial(settings, inputs, lambda axis, size: size + sum(margins[axis]))


def _cropped_shape(settings: Settings, inputs: Inputs) -> MaybeShape:
    margins = settings.margins("cropping")
    return _spatial(settings, inputs, lambda axis, size: size - sum(margins[axis]))


def _grown_shape(settings: Settings, inputs: Inputs) -> MaybeShape:
    factors = settings.pair("size", (2, 2))
    return _spatial(settings, inputs, lambda axis, size: size * factors[axis])


def _margin_attributes(key: str) -> Callable[[Settings, Inputs], Mapping[str, Any]]:
    def attributes(settings: Settings, _inputs: Inputs) -> Mapping[str, Any]:
        return {key: [list(pair) for pair in settings.margins(key)], "data_format": _format(settings)}

    return attributes


def _emit_padding(emission: Emission) -> Value:
    value = channels_first(emission, emission.input, channel_axis(emission.settings))
    (top, bottom), (left, right) = emission.settings.margins("padding")
    pads = emission.whole_numbers((0, 0, top, left, 0, 0, bottom, right), "pads")
    name = emission.add("Pad", value.name, pads, mode="constant")
    return Value(name, emission.output_shape, value.axes)


def _emit_cropping(emission: Emission) -> Value:
    value = channels_first(emission, emission.input, channel_axis(emission.settings))
    (top, bottom), (left, right) = emission.settings.margins("cropping")
    height, width = value.graph_shape[1:]
    starts = emission.whole_numbers((top, left), "starts")
    ends = emission.whole_numbers((height - bottom, width - right), "ends")
    name = emission.add("Slice", value.name, starts, ends, emission.whole_numbers((2, 3), "axes"))
    return Value(name, emission.output_shape, value.axes)


def _grown_attributes(settings: Settings, _inputs: Inputs) -> Mapping[str, Any]:
    return {
        "size": list(settings.pair("size", (2, 2))),
        "interpolation": str(settings.values.get("interpolation", "nearest")),
        "data_format": _format(settings),
    }


def _emit_growing(emission: Emission) -> Value:
    settings = emission.settings
    linear = settings.choice("interpolation", "nearest", ("nearest", "bilinear")) == "bilinear"
    value = channels_first(emission, emission.input, channel_axis(settings))
    height, width = settings.pair("size", (2, 2))
    scales = emission.constant(np.array([1, 1, height, width]), "scales")
    modes: dict[str, str] = (
        {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        if linear
        else {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    )
    name = emission.add("Resize", value.name, "", scales, **modes)
    return Value(name, emission.output_shape, value.axes)


KINDS = (
    LayerKind("MaxPooling2D", _pool("MaxPool"), _pool_shape, attributes=_pool_attributes),
    LayerKind(
        "AveragePooling2D",
        _pool("AveragePool", count_include_pad=0),
        _pool_shape,
        attributes=_pool_attributes,
    ),
    LayerKind(
        "GlobalAveragePooling2D",
        _global_pool("GlobalAveragePool"),
        _global_shape,
        attributes=_global_attributes,
    ),
    LayerKind(
        "GlobalMaxPooling2D", _global_pool("GlobalMaxPool"), _global_shape, attributes=_global_attributes
    ),
    LayerKind("ZeroPadding2D", _emit_padding, _padded_shape, attributes=_margin_attributes("padding")),
    LayerKind("Cropping2D", _emit_cropping, _cropped_shape, attributes=_margin_attributes("cropping")),
    LayerKind("UpSampling2D", _emit_growing, _grown_shape, attributes=_grown_attributes),
)
