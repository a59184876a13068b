"""Keras 2's `.h5` files of networks that today's Keras builds."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from keras_files import write_legacy

_MODELS = ("Sequential", "Functional")


def as_keras_2(model: Any) -> dict[str, Any]:
    """A model's configuration in the words of Keras 2: calls are lists, those of nested models from one."""
    config = copy.deepcopy(model.get_config())
    kind = "Sequential" if model.__class__.__name__ == "Sequential" else "Functional"
    return _entry({"class_name": kind, "config": config})


def save_as_keras_2(model: Any, path: Path) -> Path:
    """Write the file as Keras 2 does: a nested model's weights in one group, trained ones first."""
    owners = {id(weight): _owner(layer, weight) for layer in _leaves(model) for weight in layer.weights}
    arrays = {
        layer.name: {
            f"{owners[id(weight)]}/{weight.name}:0": np.asarray(weight)
            for weight in [*layer.trainable_weights, *layer.non_trainable_weights]
            if "seed_generator" not in weight.path
        }
        for layer in model.layers
    }
    return write_legacy(path, as_keras_2(model), arrays, name=lambda _, weight: weight)


def _owner(layer: Any, weight: Any) -> str:
    """A layer's name; that of one for both directions has their names after it."""
    return weight.path.rpartition("/")[0] if hasattr(layer, "forward_layer") else str(layer.name)


def _leaves(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield from _leaves(layer) if hasattr(layer, "layers") else [layer]


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    found = {
        key: value for key, value in entry.items() if key not in ("module", "registered_name", "build_config")
    }
    config = found["config"]
    if isinstance(config.get("dtype"), dict):
        config["dtype"] = "float32"
    if "batch_shape" in config:
        config["batch_input_shape"] = list(config.pop("batch_shape"))
    if found["class_name"] in _MODELS:
        config.pop("build_input_shape", None)
        nested = {layer["config"]["name"]: layer["class_name"] in _MODELS for layer in config["layers"]}
        layers = [_entry(layer) for layer in config["layers"]]
        if found["class_name"] == "Sequential":
            first, *rest = layers
            if first["class_name"] == "InputLayer":
                if rest[0]["class_name"] not in _MODELS:
                    rest[0]["config"]["batch_input_shape"] = first["config"]["batch_input_shape"]
                layers = rest
        for layer in layers:
            if "inbound_nodes" in layer:
                layer["inbound_nodes"] = [_call(node, nested) for node in layer["inbound_nodes"]]
        config["layers"] = layers
        if "output_layers" in config:
            config["output_layers"] = [
                [name, call + 1 if nested[name] and _is_sequential(name, layers) else call, place]
                for name, call, place in _triples(config["output_layers"])
            ]
            config["input_layers"] = [list(triple) for triple in _triples(config["input_layers"])]
    return found


def _is_sequential(name: str, layers: list[dict[str, Any]]) -> bool:
    return any(layer["config"]["name"] == name and layer["class_name"] == "Sequential" for layer in layers)


def _triples(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple) and len(value) == 3 and isinstance(value[0], str):
        yield value
    else:
        for item in value:
            yield from _triples(item)


def _call(node: dict[str, Any], nested: dict[str, bool]) -> list[Any]:
    (argument,) = node["args"]
    tensors = argument if isinstance(argument, list) else [argument]
    histories = [tensor["config"]["keras_history"] for tensor in tensors]
    return [[name, call + nested[name], place, {}] for name, call, place in histories]
