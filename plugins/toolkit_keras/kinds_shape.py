"""Layers that move elements, and layers that do nothing at inference."""

from __future__ import annotations

import math
from dataclasses import replace

from toolkit_keras.graph_builder import LayerBuilder, Value, as_keras, flattened, plain
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape


def pass_through(builder: LayerBuilder) -> Value:
    """For layers that do nothing at inference."""
    return builder.input


def _elements(shape: MaybeShape) -> int | None:
    sizes = [size for size in shape or () if size is not None]
    return math.prod(sizes) if shape is not None and len(sizes) == len(shape) else None


def _build_flatten(builder: LayerBuilder) -> Value:
    value = builder.input
    if builder.config.channel_axis == 0 and value.rank > 1:
        value = _renamed(value, (*range(1, value.rank), 0))
    return flattened(builder, value)


def _renamed(value: Value, permutation: tuple[int, ...]) -> Value:
    """The value under a transposition of Keras': the axes get other numbers, nothing moves."""
    new_of_old = {old: new for new, old in enumerate(permutation)}
    return replace(
        value,
        shape=tuple(value.shape[old] for old in permutation),
        axes=tuple(new_of_old[axis] for axis in value.axes),
    )


def _permutation(config: LayerConfig, rank: int) -> tuple[int, ...]:
    dims = config.integers("dims")
    if sorted(dims) != list(range(1, rank + 1)):
        config.damaged(f"dims {list(dims)} do not permute {rank} axes")
    return tuple(dim - 1 for dim in dims)


def _permuted_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    shape = inputs[0]
    return None if shape is None else tuple(shape[axis] for axis in _permutation(config, len(shape)))


def _build_permute(builder: LayerBuilder) -> Value:
    return _renamed(builder.input, _permutation(builder.config, builder.input.rank))


def _reshaped_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    target = config.integers("target_shape")
    if target.count(-1) > 1 or any(size == 0 or size < -1 for size in target):
        config.wrong("target_shape", "sizes from 1 up and at most one -1")
    total, fixed = _elements(inputs[0]), math.prod(size for size in target if size != -1)
    if total is None:
        return tuple(None if size == -1 else size for size in target)
    if (total % fixed if -1 in target else total != fixed) or not fixed:
        config.damaged(f"{total} elements cannot be put into {list(target)}")
    return tuple(total // fixed if size == -1 else size for size in target)


def _build_reshape(builder: LayerBuilder) -> Value:
    if len(builder.output_shape) == 1:
        return flattened(builder, builder.input)
    value = as_keras(builder, builder.input)
    if value.shape == builder.output_shape:
        return value
    shape = builder.whole_numbers((0, *builder.output_shape), "shape")
    return plain(builder.add("Reshape", value.name, shape), builder.output_shape)


def _repeated_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    shape = inputs[0]
    if shape is not None and len(shape) != 1:
        config.damaged(f"repeats vectors, its input has {len(shape) + 1} axes")
    return None if shape is None else (config.size("n"), *shape)


def _build_repeat(builder: LayerBuilder) -> Value:
    value = as_keras(builder, builder.input)
    count, size = builder.output_shape
    row = builder.add("Reshape", value.name, builder.whole_numbers((0, 1, size), "row"), part="row")
    times = builder.whole_numbers((1, count, 1), "times")
    return plain(builder.add("Tile", row, times), builder.output_shape)


def _input_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    declared, given = config.values.get("batch_shape"), inputs[0] if inputs else None
    if declared is None:
        return given
    if not isinstance(declared, list) or not 1 <= len(declared) <= 8:
        config.wrong("batch_shape", "a list of sizes")
    shape = tuple(declared[1:])
    if any(size is not None and (type(size) is not int or not 0 < size < 1 << 24) for size in shape):
        config.wrong("batch_shape", "a list of sizes")
    if given is not None and len(given) == len(shape):
        return tuple(known if known is not None else size for known, size in zip(given, shape, strict=True))
    return shape


def _build_input(builder: LayerBuilder) -> Value:
    kind = builder.config.values.get("dtype") or "float32"
    if "float" not in str(kind):
        builder.config.refuse(f"an input of type {kind}", "inputs of type float32")
    return builder.input


_IDLE = (
    *("ActivityRegularization", "AlphaDropout", "AugMix", "CutMix", "Dropout"),
    *("GaussianDropout", "GaussianNoise", "Identity", "MixUp", "RandAugment", "RandomBrightness"),
    *("RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomElasticTransform"),
    "RandomErasing",
    *("RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHeight", "RandomHue"),
    *("RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation"),
    *("RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation"),
    *("RandomWidth", "RandomZoom", "SpatialDropout1D", "SpatialDropout2D"),
    *("SpatialDropout3D", "Solarization"),
)

KINDS = (
    LayerKind("InputLayer", _build_input, _input_shape),
    LayerKind("Flatten", _build_flatten, lambda _, inputs: (_elements(inputs[0]),)),
    LayerKind("Permute", _build_permute, _permuted_shape),
    LayerKind("Reshape", _build_reshape, _reshaped_shape),
    LayerKind("RepeatVector", _build_repeat, _repeated_shape),
    *(LayerKind(name, pass_through) for name in _IDLE),
)
