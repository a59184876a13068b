"""Layers that move elements, and layers that do nothing at inference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from toolkit.errors import UnreadableInputError
from toolkit_keras.graph_builder import Emission, Value, as_keras, flattened, plain
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape
from toolkit_keras.settings import Settings


def _as_it_is(emission: Emission) -> Value:
    return emission.input


# --- Flatten -------------------------------------------------------------------------------


def _flat_shape(_settings: Settings, inputs: Inputs) -> MaybeShape:
    shape = inputs[0]
    if shape is None:
        return (None,)
    sizes = [size for size in shape if size is not None]
    return (math.prod(sizes) if len(sizes) == len(shape) else None,)


def _flatten_format(settings: Settings) -> str:
    return settings.choice("data_format", "channels_last", ("channels_last", "channels_first"))


def _flat_attributes(settings: Settings, _inputs: Inputs) -> Mapping[str, Any]:
    return {"data_format": _flatten_format(settings)}


def _emit_flatten(emission: Emission) -> Value:
    value = emission.input
    if _flatten_format(emission.settings) == "channels_first" and value.rank > 1:
        value = _renamed(value, (*range(1, value.rank), 0))
    return flattened(emission, value)


def _renamed(value: Value, permutation: tuple[int, ...]) -> Value:
    """The value under a transposition of Keras': the axes get other numbers, nothing moves."""
    new_of_old = {old: new for new, old in enumerate(permutation)}
    return replace(
        value,
        shape=tuple(value.shape[old] for old in permutation),
        axes=tuple(new_of_old[axis] for axis in value.axes),
        probabilities=False,
    )


# --- Permute -------------------------------------------------------------------------------


def _permutation(settings: Settings, rank: int) -> tuple[int, ...]:
    dims = settings.integers("dims")
    if sorted(dims) != list(range(1, rank + 1)):
        raise UnreadableInputError(
            f"layer '{settings.layer}': dims {list(dims)} do not permute {rank} axes",
            hint="the file's configuration is damaged",
        )
    return tuple(dim - 1 for dim in dims)


def _permuted_shape(settings: Settings, inputs: Inputs) -> MaybeShape:
    shape = inputs[0]
    return None if shape is None else tuple(shape[axis] for axis in _permutation(settings, len(shape)))


def _permute_attributes(settings: Settings, _inputs: Inputs) -> Mapping[str, Any]:
    return {"dims": list(settings.integers("dims"))}


def _emit_permute(emission: Emission) -> Value:
    value = emission.input
    return _renamed(value, _permutation(emission.settings, value.rank))


# --- Reshape -------------------------------------------------------------------------------


def _target(settings: Settings) -> tuple[int, ...]:
    target = settings.integers("target_shape")
    if sum(size == -1 for size in target) > 1 or any(size == 0 or size < -1 for size in target):
        settings.wrong("target_shape", "sizes from 1 up and at most one -1")
    return target


def _reshaped_shape(settings: Settings, inputs: Inputs) -> MaybeShape:
    target = _target(settings)
    shape = inputs[0]
    sizes = [] if shape is None else [size for size in shape if size is not None]
    if shape is None or len(sizes) < len(shape):
        return tuple(None if size == -1 else size for size in target)
    total, fixed = math.prod(sizes), math.prod(size for size in target if size != -1)
    if (total % fixed if -1 in target else total != fixed) or not fixed:
        raise UnreadableInputError(
            f"layer '{settings.layer}': {total} elements cannot be put into {list(target)}",
            hint="the file's configuration is damaged",
        )
    return tuple(total // fixed if size == -1 else size for size in target)


def _reshape_attributes(settings: Settings, inputs: Inputs) -> Mapping[str, Any]:
    shape = _reshaped_shape(settings, inputs)
    return {"target_shape": None if shape is None else list(shape)}


def _emit_reshape(emission: Emission) -> Value:
    if len(emission.output_shape) == 1:
        return flattened(emission, emission.input)
    value = as_keras(emission, emission.input)
    if value.shape == emission.output_shape:
        return value
    shape = emission.whole_numbers((0, *emission.output_shape), "shape")
    return plain(emission.add("Reshape", value.name, shape), emission.output_shape)


# --- inputs --------------------------------------------------------------------------------


def _input_shape(settings: Settings, inputs: Inputs) -> MaybeShape:
    declared = settings.values.get("batch_shape")
    if declared is None:
        return inputs[0] if inputs else None
    if not isinstance(declared, list) or not 1 <= len(declared) <= 8:
        settings.wrong("batch_shape", "a list of sizes")
    for size in declared[1:]:
        if size is not None and (
            not isinstance(size, int) or isinstance(size, bool) or not 0 < size < 1 << 24
        ):
            settings.wrong("batch_shape", "a list of sizes")
    shape = tuple(declared[1:])
    given = inputs[0] if inputs else None
    if given is not None and len(given) == len(shape):
        return tuple(known if known is not None else size for known, size in zip(given, shape, strict=True))
    return shape


def _input_attributes(settings: Settings, inputs: Inputs) -> Mapping[str, Any]:
    shape = _input_shape(settings, inputs)
    return {"shape": None if shape is None else list(shape)}


def _emit_input(emission: Emission) -> Value:
    kind = emission.settings.values.get("dtype") or "float32"
    if "float" not in str(kind):
        emission.refuse(f"an input of type {kind}", "inputs of type float32")
    return emission.input


_IDLE = (
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHeight",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomWidth",
    "RandomZoom",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
)

KINDS = (
    LayerKind("InputLayer", _emit_input, _input_shape, attributes=_input_attributes),
    LayerKind("Flatten", _emit_flatten, _flat_shape, attributes=_flat_attributes),
    LayerKind("Permute", _emit_permute, _permuted_shape, attributes=_permute_attributes),
    LayerKind("Reshape", _emit_reshape, _reshaped_shape, attributes=_reshape_attributes),
    *(LayerKind(name, _as_it_is) for name in _IDLE),
)
