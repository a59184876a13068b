"""Layers that apply another layer to each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from toolkit_keras import (
    kinds_arithmetic,
    kinds_convolution,
    kinds_dense,
    kinds_normalisation,
    kinds_pooling,
    kinds_shape,
)
from toolkit_keras.graph_builder import LayerBuilder, Value, as_keras, plain
from toolkit_keras.layer_config import LayerConfig, is_keras
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape, Shape, Weight

_INNER: Mapping[str, LayerKind] = {
    kind.name: kind
    for module in (
        *(kinds_arithmetic, kinds_convolution, kinds_dense, kinds_normalisation, kinds_pooling),
        kinds_shape,
    )
    for kind in module.KINDS
    if kind.inputs == 1 and kind.name != "InputLayer"
}


def _inner(config: LayerConfig) -> tuple[LayerKind, LayerConfig]:
    """The layer that is applied."""
    entry = config.values.get("layer")
    settings = entry.get("config") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(settings, dict):
        config.wrong("layer", "a layer")
    kind = _INNER.get(str(entry.get("class_name")))
    if kind is None or not is_keras(str(entry.get("module") or "")):
        config.refuse(
            f"{entry.get('class_name')} applied to each step", "single layers such as Dense or Conv2D"
        )
    return kind, LayerConfig(settings, config.layer)


def _step(config: LayerConfig, inputs: Inputs) -> Inputs:
    """The shape of one step."""
    shape = inputs[0]
    if shape is not None and len(shape) < 2:
        config.damaged(f"applies a layer to each step, its input has {len(shape) + 1} axes")
    return (None if shape is None else shape[1:],)


def _shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    shape, (kind, settings) = inputs[0], _inner(config)
    after = kind.output_shape(settings, _step(config, inputs))
    return None if shape is None or after is None else (shape[0], *after)


def _weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    kind, settings = _inner(config)
    found = kind.weights(settings, _step(config, inputs))
    return tuple(replace(weight, place="layer") for weight in found)


def _build(builder: LayerBuilder) -> Value:
    """Steps become images of a larger batch, and the results steps again."""
    kind, settings = _inner(builder.config)
    value = as_keras(builder, builder.input)
    steps, *step = value.shape
    after = kind.output_shape(settings, (tuple(step),))
    known: Shape = after or ()
    sizes = tuple(size for size in known if size is not None)
    rows = builder.add("Reshape", value.name, builder.whole_numbers((-1, *step), "step"), part="steps")
    inner = replace(
        builder, config=settings, inputs=(plain(rows, tuple(step)),), output_shape=sizes, repeated=True
    )
    result = as_keras(builder, kind.build(inner))
    together = builder.whole_numbers((-1, steps, *sizes), "together")
    return plain(builder.add("Reshape", result.name, together, part="together"), builder.output_shape)


KINDS = (LayerKind("TimeDistributed", _build, _shape, _weights),)
