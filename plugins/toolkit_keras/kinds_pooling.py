"""Pooling, padding, cropping, and layers that change the size of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


def _window(config: LayerConfig, dimensions: int) -> Window:
    size = config.sizes("pool_size", dimensions, 2)
    strides = size if config.values.get("strides") is None else config.sizes("strides", dimensions)
    return Window(size, strides, (1,) * dimensions, config.choice("padding", "valid", "same"))


def _pool(dimensions: int, name: str, operator: str, **attributes: Any) -> LayerKind:
    def shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
        return after_window(config, inputs, _window(config, dimensions), channels_of(config, inputs))

    def build(builder: LayerBuilder) -> Value:
        window, value = _window(builder.config, dimensions), builder.images()
        pads = padding_of(window, value.graph_shape[1:])
        sliding: dict[str, Any] = {"kernel_shape": window.size, "strides": window.strides, "pads": pads}
        name = builder.add(operator, value.name, **sliding, **attributes)
        return Value(name, builder.output_shape, value.axes)

    return LayerKind(f"{name}{dimensions}D", build, shape)


def _global_pool(dimensions: int, name: str, operator: str) -> LayerKind:
    def shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
        image_sizes(config, inputs[0], dimensions)
        channels = channels_of(config, inputs)
        kept = config.flag("keepdims", default=False)
        return image_shape(config, channels, *(1,) * dimensions) if kept else (channels,)

    def build(builder: LayerBuilder) -> Value:
        value = builder.images()
        if len(builder.output_shape) > 1:
            return Value(builder.add(operator, value.name), builder.output_shape, value.axes)
        pooled = builder.add(operator, value.name, part="pooled")
        return plain(builder.add("Flatten", pooled, axis=1), builder.output_shape)

    return LayerKind(f"{name}{dimensions}D", build, shape)


def _resized_by(
    dimensions: int, change: Callable[[LayerConfig, int, int], int]
) -> Callable[[LayerConfig, Inputs], MaybeShape]:
    """The shape after ``change(config, axis, size)`` of the size along each spatial axis."""
    return lambda config, inputs: resized(
        config, inputs, dimensions, channels_of(config, inputs), lambda axis, size: change(config, axis, size)
    )


def _padding(dimensions: int) -> LayerKind:
    def build(builder: LayerBuilder) -> Value:
        value = builder.images()
        before, after = zip(*builder.config.margins("padding", dimensions), strict=True)
        pads = builder.whole_numbers((0, 0, *before, 0, 0, *after), "pads")
        return Value(builder.add("Pad", value.name, pads, mode="constant"), builder.output_shape, value.axes)

    shape = _resized_by(
        dimensions, lambda config, axis, size: size + sum(config.margins("padding", dimensions)[axis])
    )
    return LayerKind(f"ZeroPadding{dimensions}D", build, shape)


def _cut(builder: LayerBuilder, value: Value, starts: tuple[int, ...], ends: tuple[int, ...]) -> str:
    """The name of a part of a value with its channels first."""
    edges = (builder.whole_numbers(starts, "starts"), builder.whole_numbers(ends, "ends"))
    axes = builder.whole_numbers(range(2, 2 + len(starts)), "axes")
    return builder.add("Slice", value.name, *edges, axes)


def _cropping(dimensions: int) -> LayerKind:
    def build(builder: LayerBuilder) -> Value:
        value = builder.images()
        before, after = zip(*builder.config.margins("cropping", dimensions), strict=True)
        sizes = value.graph_shape[1:]
        ends = tuple(size - margin for size, margin in zip(sizes, after, strict=True))
        return Value(_cut(builder, value, before, ends), builder.output_shape, value.axes)

    shape = _resized_by(
        dimensions, lambda config, axis, size: size - sum(config.margins("cropping", dimensions)[axis])
    )
    return LayerKind(f"Cropping{dimensions}D", build, shape)


# As TensorFlow resizes: without antialiasing, from the centres of the pixels.
_RESIZE: dict[str, dict[str, Any]] = {
    "bilinear": {"mode": "linear"},
    "nearest": {"mode": "nearest", "nearest_mode": "round_prefer_ceil"},
}


def _resize(builder: LayerBuilder, value: Value, mode: str, wanted: tuple[int, ...]) -> Value:
    """Images in another size; as they are if they have it."""
    sizes = value.graph_shape[1:]
    if sizes == wanted:
        return value
    factors = [1.0, 1.0]
    for size, length in zip(sizes, wanted, strict=True):
        factor = np.float32(length / size)
        # The operator rounds down: a factor that float32 rounds down would lose a pixel.
        exact = int(size * float(factor)) == length
        factors.append(float(factor if exact else np.nextafter(factor, np.float32(np.inf))))
    scales = builder.constant(factors, "scales")
    attributes = {"coordinate_transformation_mode": "half_pixel", **_RESIZE[mode]}
    name = builder.add("Resize", value.name, "", scales, **attributes)
    return Value(name, builder.output_shape, value.axes)


def _up_sampling(dimensions: int) -> LayerKind:
    def build(builder: LayerBuilder) -> Value:
        mode = builder.config.choice("interpolation", "nearest", "bilinear")
        value = builder.images()
        factors = builder.config.sizes("size", dimensions, 2)
        wanted = tuple(size * factor for size, factor in zip(value.graph_shape[1:], factors, strict=True))
        return _resize(builder, value, mode, wanted)

    shape = _resized_by(
        dimensions, lambda config, axis, size: size * config.sizes("size", dimensions, 2)[axis]
    )
    return LayerKind(f"UpSampling{dimensions}D", build, shape)


def _wanted(config: LayerConfig) -> tuple[int, int]:
    return config.size("height"), config.size("width")


def _wanted_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    image_sizes(config, inputs[0], 2)
    return image_shape(config, channels_of(config, inputs), *_wanted(config))


def _build_resizing(builder: LayerBuilder) -> Value:
    config = builder.config
    value, wanted = builder.images(), _wanted(config)
    mode = config.choice("interpolation", "bilinear", "nearest")
    if config.flag("antialias", default=False) and value.graph_shape[1:] != wanted:
        config.refuse("antialias is true", "false")
    if config.flag("pad_to_aspect_ratio", default=False) and not _same_aspect(value, wanted):
        config.refuse("pad_to_aspect_ratio is true", "false")
    if config.flag("crop_to_aspect_ratio", default=False):
        value = _cropped_to_aspect(builder, value, wanted)
    return _resize(builder, value, mode, wanted)


def _same_aspect(value: Value, wanted: tuple[int, int]) -> bool:
    _, height, width = value.graph_shape
    return height * wanted[1] == width * wanted[0]


def _cropped_to_aspect(builder: LayerBuilder, value: Value, wanted: tuple[int, int]) -> Value:
    """The largest part in the middle that has the ratio of height to width that is wanted."""
    _, height, width = value.graph_shape
    kept = (
        max(min(height, int(width * wanted[0] / wanted[1])), 1),
        max(min(width, int(height * wanted[1] / wanted[0])), 1),
    )
    return _middle(builder, value, kept)


def _middle(builder: LayerBuilder, value: Value, kept: tuple[int, int]) -> Value:
    channels, height, width = value.graph_shape
    if (height, width) == kept:
        return value
    starts = ((height - kept[0]) // 2, (width - kept[1]) // 2)
    ends = (starts[0] + kept[0], starts[1] + kept[1])
    shape = image_shape(builder.config, channels, *kept)
    known = tuple(size for size in shape if size is not None)
    return Value(_cut(builder, value, starts, ends), known, value.axes)


def _build_center_crop(builder: LayerBuilder) -> Value:
    value, wanted = builder.images(), _wanted(builder.config)
    _, height, width = value.graph_shape
    if height >= wanted[0] and width >= wanted[1]:
        return _middle(builder, value, wanted)
    return _resize(builder, _cropped_to_aspect(builder, value, wanted), "bilinear", wanted)


def _build_random_crop(builder: LayerBuilder) -> Value:
    """At inference, versions of Keras disagree about images of another size."""
    sizes, wanted = image_sizes(builder.config, builder.input.shape, 2), _wanted(builder.config)
    if sizes != wanted:
        what = " to ".join("×".join(map(str, each)) for each in (sizes or (), wanted))
        builder.config.refuse(f"RandomCrop from {what}", "an input that has the size already")
    return builder.input


def _kinds() -> Iterator[LayerKind]:
    for dimensions in (1, 2, 3):
        yield _pool(dimensions, "MaxPooling", "MaxPool")
        yield _pool(dimensions, "AveragePooling", "AveragePool", count_include_pad=0)
        yield _global_pool(dimensions, "GlobalAveragePooling", "GlobalAveragePool")
        yield _global_pool(dimensions, "GlobalMaxPooling", "GlobalMaxPool")
        yield _padding(dimensions)
        yield _cropping(dimensions)
        yield _up_sampling(dimensions)
    yield LayerKind("Resizing", _build_resizing, _wanted_shape)
    yield LayerKind("CenterCrop", _build_center_crop, _wanted_shape)
    yield LayerKind("RandomCrop", _build_random_crop, _wanted_shape)


KINDS = tuple(_kinds())
