"""The content of a Keras file, decided before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.errors import UnreadableInputError, UnsupportedError
from toolkit.model import Model
from toolkit.tensors import TensorRole
from toolkit_keras.configuration import MODEL_CLASSES, parse_network
from toolkit_keras.expected import Expected, fits, infer_shapes
from toolkit_keras.keras_network import KerasNetwork, Leaf
from toolkit_keras.layer_kind import Weight
from toolkit_keras.modernise import LEGACY_HARD_SIGMOID
from toolkit_keras.registry import is_operation, kind_of

LAYOUT_VERSION = "3.15.1"
"""The Keras whose layout is written; older and newer ones of Keras 3 read it."""

_MODULES = {"Sequential": "keras", "Functional": "keras.src.models.functional"}


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """One layer and its tensors.

    Attributes:
        tensors: Names in the model, in Keras' order, generator states left out.
        weights: What is known of each; None for a layer of an unknown kind.
        generators: Names of its random generators' states.
    """

    leaf: Leaf
    tensors: tuple[str, ...]
    weights: tuple[Weight, ...] | None
    generators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A model, prepared for writing."""

    network: KerasNetwork
    layers: tuple[PlannedLayer, ...]


def plan_of(model: Model) -> Plan:
    """Prepare a model for writing.

    Raises:
        UnsupportedError: If it is no Keras model, or has no equivalent in today's Keras.
        UnreadableInputError: If its tensors do not fit its description.
    """
    if model.dialect != "keras":
        raise UnsupportedError(
            f"{model.name or 'the model'} is an {model.dialect.upper()} model, "
            "which has no Keras configuration",
            hint="Keras files can be written of models read from Keras files; use `export --to onnx`",
        )
    if _mentions(model.description, LEGACY_HARD_SIGMOID):
        raise UnsupportedError(
            f"{model.name or 'the model'} uses Keras 2's hard_sigmoid, which Keras 3 computes differently",
            hint="use `export --to onnx`, which keeps the function",
        )
    network = parse_network(model.description)
    held = {layer.name: [spec.name for spec in layer.tensors] for layer in model.layers}
    layers = tuple(
        _planned(model, expected, held.get(expected.leaf.name, []))
        for expected in infer_shapes(network).expected
    )
    planned = {name for layer in layers for name in (*layer.tensors, *layer.generators)}
    stray = [name for name in model.tensors.specs if name not in planned]
    if stray:
        raise UnreadableInputError(
            f"{model.name or 'the model'}: tensor {stray[0]} belongs to no layer",
            hint="its description is another model's",
        )
    return Plan(network, layers)


def _planned(model: Model, expected: Expected, held: list[str]) -> PlannedLayer:
    layer = expected.leaf.name
    specs = model.tensors.specs
    generators = tuple(
        name for name in held if name in specs and specs[name].role is TensorRole.GENERATOR_STATE
    )
    if expected.weights is None:
        return PlannedLayer(
            expected.leaf, tuple(name for name in held if name not in generators), None, generators
        )
    names = []
    for weight in expected.weights:
        name = f"{layer}/{weight.name}"
        if name not in specs:
            raise UnreadableInputError(
                f"{model.name or 'the model'} has no tensor {name}", hint="its description is another model's"
            )
        shape = specs[name].shape
        if not fits(weight, shape):
            raise UnreadableInputError(
                f"{name} should be {weight.shape}, received {shape}",
                hint="its description is another model's",
            )
        names.append(name)
    return PlannedLayer(expected.leaf, tuple(names), expected.weights, generators)


def _mentions(value: Any, text: str) -> bool:
    if isinstance(value, dict):
        return any(_mentions(item, text) for item in value.values())
    if isinstance(value, list):
        return any(_mentions(item, text) for item in value)
    return bool(value == text)


def with_modules(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration in the archive's style, in which every class has its module.

    Raises:
        UnsupportedError: If a class and so its module is not known.
    """
    kind = str(entry.get("class_name"))
    config = entry.get("config")
    found = dict(entry)
    if not entry.get("module"):
        found = {"module": _MODULES.get(kind, "keras.layers"), **found}
        found["registered_name"] = "Functional" if kind == "Functional" else None
    if kind in MODEL_CLASSES and isinstance(config, dict) and isinstance(config.get("layers"), list):
        found["config"] = config | {"layers": [with_modules(layer) for layer in config["layers"]]}
    return found


def refuse_nameless(plan: Plan) -> None:
    """Refuse layers whose module an `.h5` file does not tell."""
    for layer in plan.layers:
        node = layer.leaf.layer
        if not node.module and kind_of(node) is None and not is_operation(node):
            raise UnsupportedError(
                f"layer '{layer.leaf.name}' is of class {node.kind}, which is not known",
                hint="write it in the format that it was read from",
            )
