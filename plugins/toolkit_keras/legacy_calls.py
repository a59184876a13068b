"""Calls of layers as Keras 1 and 2 list them, converted to those of Keras 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolkit_keras.configuration import MODEL_CLASSES
from toolkit_keras.file_errors import damaged_config


def with_todays_calls(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a Functional model with every call as ``{"args", "kwargs"}``.

    Keras 2 lists a call as ``[[layer, call, output, options], …]``, and counts the calls of a nested
    model from one: building it is its first. A Sequential that was built later is counted from zero.
    Keras 3 counts all from zero, but in a model's list of outputs nested Functional models from one.
    """
    layers = [layer for layer in config["layers"] if isinstance(layer, dict)]
    calls = {_name(layer): [node for node in _nodes(layer) if node != []] for layer in layers}
    if not any(isinstance(node, list) for nodes in calls.values() for node in nodes):
        return dict(config)
    highest: dict[str, int] = {}
    for name, call, _ in [*_references(list(calls.values())), *_references(config.get("output_layers"))]:
        highest[name] = max(call, highest.get(name, 0))
    kinds = {_name(layer): layer.get("class_name") for layer in layers}
    one_based = {
        name
        for name, kind in kinds.items()
        if kind in MODEL_CLASSES and highest.get(name, 0) >= len(calls[name]) > 0
    }

    def from_zero(reference: list[Any]) -> list[Any]:
        name, call, output = reference
        return [name, call - 1 if name in one_based else call, output]

    def tensor(reference: list[Any]) -> dict[str, Any]:
        history = {"shape": [None], "dtype": "float32", "keras_history": from_zero(reference)}
        return {"class_name": "__keras_tensor__", "config": history}

    def argument(value: Any) -> Any:
        if _is_reference(value) and value[0] in kinds:
            return tensor(value)
        if isinstance(value, list):
            return [argument(item) for item in value]
        return value

    def call_of(node: Any, layer: str) -> Any:
        if not isinstance(node, list):
            return node
        entries = [node] if isinstance(node[0], str) else node
        keywords: dict[str, Any] = {}
        for entry in entries:
            if not isinstance(entry, list) or len(entry) not in (3, 4) or not _is_reference(entry[:3]):
                raise damaged_config(f"layer '{layer}': inbound_nodes holds {entry!r}"[:200])
            if len(entry) == 4 and isinstance(entry[3], dict):
                keywords |= {key: argument(value) for key, value in entry[3].items() if value is not None}
        tensors = [tensor(entry[:3]) for entry in entries]
        return {"args": [tensors if len(tensors) > 1 else tensors[0]], "kwargs": keywords}

    def output(value: Any) -> Any:
        if _is_reference(value):
            name, call, place = from_zero(value)
            return [name, call + 1 if kinds.get(name) in ("Functional", "Model") else call, place]
        if isinstance(value, list):
            return [output(item) for item in value]
        return {key: output(item) for key, item in value.items()} if isinstance(value, dict) else value

    converted = [
        {
            **layer,
            "name": _name(layer),
            "inbound_nodes": [call_of(node, _name(layer)) for node in _nodes(layer) if node != []],
        }
        if isinstance(layer, dict)
        else layer
        for layer in config["layers"]
    ]
    ends = {key: _alone(output(config.get(key))) for key in ("input_layers", "output_layers")}
    return {**config, "layers": converted, **ends}


def _alone(value: Any) -> Any:
    """One input or output without the list around it, which would make the model's output a list."""
    return value[0] if isinstance(value, list) and len(value) == 1 and _is_reference(value[0]) else value


def _name(layer: Mapping[str, Any]) -> str:
    config = layer.get("config")
    name = layer.get("name") or (config.get("name") if isinstance(config, dict) else None)
    return name if isinstance(name, str) else ""


def _nodes(layer: Mapping[str, Any]) -> list[Any]:
    nodes = layer.get("inbound_nodes")
    if nodes is not None and not isinstance(nodes, list):
        raise damaged_config(f"layer '{_name(layer)}': inbound_nodes is not a list")
    return nodes or []


def _is_reference(value: Any) -> bool:
    """Whether it is ``[layer, call, output]``."""
    if not isinstance(value, list) or len(value) != 3 or not isinstance(value[0], str):
        return False
    return all(type(number) is int for number in value[1:])


def _references(value: Any) -> list[list[Any]]:
    if isinstance(value, list) and _is_reference(value[:3]):
        return [value[:3], *(_references(value[3]) if len(value) > 3 else [])]
    if isinstance(value, dict):
        value = list(value.values())
    return [found for item in value for found in _references(item)] if isinstance(value, list) else []
