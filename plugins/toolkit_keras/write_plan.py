"""The content of a Keras file, decided before anything is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from toolkit.errors import UnreadableInputError, UnsupportedError
from toolkit.model import Model
from toolkit.records import dataclass
from toolkit.tensors import TensorRole
from toolkit_keras.architecture import Expected, architecture_of, fits
from toolkit_keras.configuration import MODEL_CLASSES
from toolkit_keras.keras_network import KerasNetwork
from toolkit_keras.modernise import LEGACY_HARD_SIGMOID

LAYOUT_VERSION = "3.15.1"
"""The Keras whose layout is written; older and newer ones of Keras 3 read it."""

_foreign = partial(UnreadableInputError, hint="its description is another model's")
_MODULES = {"Sequential": "keras", "Functional": "keras.src.models.functional"}


@dataclass(frozen=True)
class PlannedLayer(Expected):
    """A layer and its tensors' names in the model: in Keras' order, and those of generator states."""

    tensors: tuple[str, ...]
    generators: tuple[str, ...]


def plan_of(model: Model) -> tuple[KerasNetwork, tuple[PlannedLayer, ...]]:
    """Prepare a model for writing."""
    name = model.name or "the model"
    if model.dialect != "keras":
        raise UnsupportedError(
            f"{name} is an {model.dialect.upper()} model, which has no Keras configuration",
            hint="Keras files can be written of models read from Keras files; use `export --to onnx`",
        )
    if f'"{LEGACY_HARD_SIGMOID}"' in json.dumps(model.description):
        raise UnsupportedError(
            f"{name} uses Keras 2's hard_sigmoid, which Keras 3 computes differently",
            hint="use `export --to onnx`, which keeps the function",
        )
    architecture = architecture_of(model.description)
    held = {layer.name: [spec.name for spec in layer.tensors] for layer in model.layers}
    layers = tuple(
        _planned(model, expected, held.get(expected.node.name, [])) for expected in architecture.expected
    )
    planned = {tensor for layer in layers for tensor in (*layer.tensors, *layer.generators)}
    stray = [tensor for tensor in model.tensors.specs if tensor not in planned]
    if stray:
        raise _foreign(f"{name}: tensor {stray[0]} belongs to no layer")
    return architecture.network, layers


def _planned(model: Model, expected: Expected, held: list[str]) -> PlannedLayer:
    layer, weights, specs = expected.node, expected.weights, model.tensors.specs
    generators = tuple(
        name for name in held if name in specs and specs[name].role is TensorRole.GENERATOR_STATE
    )
    if weights is None:
        rest = tuple(name for name in held if name not in generators)
        return PlannedLayer(layer, None, rest, generators)
    names = tuple(f"{layer.name}/{weight.name}" for weight in weights)
    for name, weight in zip(names, weights, strict=True):
        if name not in specs:
            raise _foreign(f"{model.name or 'the model'} has no tensor {name}")
        if not fits(weight, specs[name].shape):
            raise _foreign(f"{name} should be {weight.shape}, received {specs[name].shape}")
    return PlannedLayer(layer, weights, names, generators)


def with_modules(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration in the archive's style, in which every class has its module."""
    kind = str(entry.get("class_name"))
    config = entry.get("config")
    found = dict(entry)
    if not entry.get("module"):
        found = {"module": _MODULES.get(kind, "keras.layers"), **found}
        found["registered_name"] = "Functional" if kind == "Functional" else None
    if isinstance(config, dict):
        inner = {key: config[key] for key in ("layer", "backward_layer") if isinstance(config.get(key), dict)}
        found["config"] = config | {key: with_modules(layer) for key, layer in inner.items()}
    if kind in MODEL_CLASSES and isinstance(config, dict) and isinstance(config.get("layers"), list):
        found["config"] = config | {"layers": [with_modules(layer) for layer in config["layers"]]}
    return found
