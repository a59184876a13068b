"""From the configuration in a file to a :class:`KerasNetwork`, for every version of Keras."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from toolkit.errors import LimitReachedError, UnreadableInputError, UnsupportedError
from toolkit_keras.keras_network import Call, KerasNetwork, LayerNode, LayerOutput
from toolkit_keras.layer_config import DAMAGED

MODEL_CLASSES = ("Sequential", "Functional", "Model")
KERAS_PACKAGES = ("keras", "tf_keras", "tensorflow")
MAX_LAYERS = 2_000
MAX_DEPTH = 20
MAX_CONFIG_BYTES = 16 << 20

_CODE = ("Lambda", "__lambda__")
_HARMLESS = {"training": False}


def load_json(text: str | bytes, what: str) -> dict[str, Any]:
    """Parse a JSON object.

    Args:
        text: UTF-8 if bytes.
        what: Name of the thing, for the error message.

    Raises:
        UnreadableInputError: If it is not JSON or no object.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableInputError(f"{what} is not JSON: {str(error)[:100]}", hint=DAMAGED) from error
    if not isinstance(value, dict):
        raise UnreadableInputError(f"{what} is a JSON {type(value).__name__}, not an object", hint=DAMAGED)
    return value


def refuse_code(config: Any) -> None:
    """Refuse a configuration that carries Python code.

    Raises:
        UnsupportedError: If there is a Lambda layer or a function as byte code in it.
        LimitReachedError: If it is nested deeper than any model's.
    """
    stack: list[tuple[Any, int, str]] = [(config, 0, "")]
    while stack:
        value, depth, owner = stack.pop()
        if depth > 200:
            raise LimitReachedError("the model's configuration is more than 200 levels deep", hint=DAMAGED)
        if isinstance(value, dict):
            inner = value.get("config")
            if isinstance(inner, dict) and isinstance(inner.get("name"), str):
                owner = inner["name"]
            if value.get("class_name") in _CODE or value.get("function_type") == "lambda":
                raise UnsupportedError(
                    f"layer '{owner}' is a Lambda: it holds Python code, and no code from a file is ever run",
                    hint="rebuild the model with a Keras layer in its place, such as Rescaling or Reshape",
                )
            stack.extend((item, depth + 1, owner) for item in value.values())
        elif isinstance(value, list):
            stack.extend((item, depth + 1, owner) for item in value)


def parse_network(description: Mapping[str, Any]) -> KerasNetwork:
    """The network that a model's configuration describes.

    Args:
        description: ``{"class_name", "config", …}``.

    Raises:
        UnreadableInputError: If it contradicts itself.
        UnsupportedError: If it is no Sequential or Functional model.
    """
    kind = description.get("class_name")
    if kind not in MODEL_CLASSES:
        raise UnsupportedError(
            f"the model is of class {kind!r}, whose connections only its own code knows",
            hint="supported: Sequential and Functional models",
        )
    config = _mapping(description, "config", str(kind))
    return _network(str(kind), config, str(config.get("name", "")), 0)


def _network(kind: str, config: Mapping[str, Any], name: str, depth: int) -> KerasNetwork:
    if depth > MAX_DEPTH:
        raise LimitReachedError(f"models are nested more than {MAX_DEPTH} deep", hint=DAMAGED)
    entries = config.get("layers")
    if not isinstance(entries, list) or not entries:
        raise UnreadableInputError(f"model '{name}' has no list of layers", hint=DAMAGED)
    if len(entries) > MAX_LAYERS:
        raise LimitReachedError(f"model '{name}' has {len(entries)} layers, more than {MAX_LAYERS}")
    sequential = kind == "Sequential"
    layers = [_layer(entry, name, depth, sequential=sequential) for entry in entries]
    doubled = _first_doubled(layer.name for layer in layers)
    if doubled is not None:
        raise UnreadableInputError(f"model '{name}' has two layers called '{doubled}'", hint=DAMAGED)
    trainable = config.get("trainable", True) is not False
    if sequential:
        return _sequential(name, layers, trainable=trainable)
    legacy = _has_legacy_calls(entries)
    layers = [_with_plain_calls(layer, layers, legacy=legacy) for layer in layers]
    inputs = tuple(_sources(config.get("input_layers"), name))
    outputs = tuple(
        _from_zero(source, layers, legacy=legacy) for source in _sources(config.get("output_layers"), name)
    )
    if not inputs or not outputs:
        raise UnreadableInputError(f"model '{name}' names no inputs or no outputs", hint=DAMAGED)
    known = {layer.name for layer in layers}
    for source in (*inputs, *outputs, *(s for layer in layers for call in layer.calls for s in call.sources)):
        if source.layer not in known:
            raise UnreadableInputError(
                f"model '{name}' refers to '{source.layer}', which it does not have", hint=DAMAGED
            )
    return KerasNetwork(
        name, sequential=False, layers=tuple(layers), inputs=inputs, outputs=outputs, trainable=trainable
    )


def _sequential(name: str, layers: list[LayerNode], *, trainable: bool) -> KerasNetwork:
    """Layers in a row, each called once on the one before."""
    first = LayerOutput(layers[0].name)
    start = 1 if layers[0].kind == "InputLayer" else 0
    previous = first if start else LayerOutput("")
    chained = layers[:start]
    for layer in layers[start:]:
        chained.append(replace(layer, calls=(Call((previous,)),)))
        previous = LayerOutput(layer.name)
    inputs = (first,) if start else (LayerOutput(""),)
    return KerasNetwork(
        name, sequential=True, layers=tuple(chained), inputs=inputs, outputs=(previous,), trainable=trainable
    )


def _has_legacy_calls(entries: list[Any]) -> bool:
    """Whether layers list their calls as Keras 2 did."""
    nodes = [
        node for entry in entries for node in (entry.get("inbound_nodes") or ()) if isinstance(entry, dict)
    ]
    return any(isinstance(node, list) for node in nodes)


def _with_plain_calls(layer: LayerNode, layers: list[LayerNode], *, legacy: bool) -> LayerNode:
    """The layer with its sources' calls counted from zero."""
    if not legacy:
        return layer
    calls = tuple(
        replace(call, sources=tuple(_from_zero(source, layers, legacy=True) for source in call.sources))
        for call in layer.calls
    )
    return replace(layer, calls=calls)


def _from_zero(source: LayerOutput, layers: list[LayerNode], *, legacy: bool) -> LayerOutput:
    """Keras counts the calls of a nested model from one: building it is its first.

    Keras 3 does so for Functional models alone, and only in a model's list of outputs.
    """
    layer = next((layer for layer in layers if layer.name == source.layer), None)
    if layer is None or layer.network is None or (layer.network.sequential and not legacy):
        return source
    return replace(source, call=max(source.call - 1, 0))


def _layer(entry: Any, model: str, depth: int, *, sequential: bool) -> LayerNode:
    if not isinstance(entry, dict):
        raise UnreadableInputError(f"model '{model}' has a layer that is no JSON object", hint=DAMAGED)
    kind = entry.get("class_name")
    config = _mapping(entry, "config", f"a layer of model '{model}'")
    name = entry.get("name") or config.get("name")
    if isinstance(kind, str) and name is None and not _is_keras_own(entry):
        raise UnsupportedError(
            f"model '{model}' contains a {kind[:100]!r}, a class that is not part of Keras",
            hint="supported: models built of Keras' layers",
        )
    if not isinstance(kind, str) or not isinstance(name, str) or not name or len(name) > 1000:
        raise UnreadableInputError(f"model '{model}' has a layer without a class or a name", hint=DAMAGED)
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise UnreadableInputError(f"model '{model}' has a layer called {name!r}", hint=DAMAGED)
    nested = kind in MODEL_CLASSES and isinstance(config.get("layers"), list)
    calls = () if sequential else _calls(entry.get("inbound_nodes"), name)
    return LayerNode(
        name=name,
        kind=kind,
        module=str(entry.get("module") or ""),
        values=config,
        calls=calls,
        network=_network(kind, config, name, depth + 1) if nested else None,
        trainable=config.get("trainable", True) is not False,
    )


def _is_keras_own(entry: Mapping[str, Any]) -> bool:
    """Whether a class may be one of Keras'; custom ones are registered, or have other modules."""
    module = str(entry.get("module") or "keras")
    registered = f"{entry.get('class_name')} {entry.get('registered_name')}"
    return module.partition(".")[0] in KERAS_PACKAGES and ">" not in registered


def _calls(nodes: Any, layer: str) -> tuple[Call, ...]:
    if nodes is None:
        return ()
    if not isinstance(nodes, list) or len(nodes) > MAX_LAYERS:
        raise UnreadableInputError(f"layer '{layer}': inbound_nodes is not a list", hint=DAMAGED)
    calls = []
    for node in nodes:
        if isinstance(node, dict):
            calls.append(_today_call(node, layer))
        elif isinstance(node, list):
            if node:
                calls.append(_legacy_call(node, layer))
        else:
            raise UnreadableInputError(f"layer '{layer}': inbound_nodes holds {node!r}"[:200], hint=DAMAGED)
    return tuple(calls)


def _today_call(node: Mapping[str, Any], layer: str) -> Call:
    """Keras 3: arguments as they were given, tensors as objects with their history."""
    sources: list[LayerOutput] = []
    options: dict[str, Any] = {}
    arguments = node.get("args", [])
    constants = _collect(arguments, sources, layer)
    if constants:
        options["constants"] = constants
    keywords = node.get("kwargs", {})
    if not isinstance(keywords, dict):
        raise UnreadableInputError(f"layer '{layer}': kwargs is not an object", hint=DAMAGED)
    for key, value in keywords.items():
        found = len(sources)
        rest = _collect(value, sources, layer)
        if rest or (len(sources) > found and key == "mask"):
            options[key] = value if not isinstance(value, dict | list) else "given"
    return Call(tuple(sources), _without_harmless(options))


def _collect(value: Any, sources: list[LayerOutput], layer: str) -> list[Any]:
    """Gather the tensors in an argument, in order; returns everything else in it."""
    if value is None:
        return []
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        history = _mapping(value, "config", f"layer '{layer}'").get("keras_history")
        sources.append(_source(history, layer))
        return []
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        return _collect(
            _mapping(value, "config", f"layer '{layer}'").get("value", value.get("items")), sources, layer
        )
    if isinstance(value, list):
        return [rest for item in value for rest in _collect(item, sources, layer)]
    return [value]


def _legacy_call(node: list[Any], layer: str) -> Call:
    """Keras 2: a list of ``[layer, call, output, options]``, or one of them alone under a TFOpLambda."""
    if isinstance(node[0], str):
        node = [node]
    sources = []
    options: dict[str, Any] = {}
    for entry in node:
        if not isinstance(entry, list) or len(entry) not in (3, 4):
            raise UnreadableInputError(f"layer '{layer}': inbound_nodes holds {entry!r}"[:200], hint=DAMAGED)
        sources.append(_source(entry[:3], layer))
        if len(entry) == 4 and isinstance(entry[3], dict):
            options |= {key: value for key, value in entry[3].items() if value is not None}
    return Call(tuple(sources), _without_harmless(options))


def _without_harmless(options: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if _HARMLESS.get(key, ...) != value}


def _sources(value: Any, model: str) -> Iterable[LayerOutput]:
    """Inputs or outputs of a model: one triple, or triples in lists and dictionaries."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _sources(value[key], model)
    elif isinstance(value, list) and len(value) == 3 and isinstance(value[0], str):
        yield _source(value, model)
    elif isinstance(value, list):
        for item in value:
            yield from _sources(item, model)
    else:
        raise UnreadableInputError(f"model '{model}': inputs or outputs hold {value!r}"[:200], hint=DAMAGED)


def _source(value: Any, owner: str) -> LayerOutput:
    if (
        not isinstance(value, list)
        or len(value) != 3
        or not isinstance(value[0], str)
        or not all(type(number) is int and 0 <= number < MAX_LAYERS for number in value[1:])
    ):
        raise UnreadableInputError(f"'{owner}' refers to {value!r}, which names no layer"[:200], hint=DAMAGED)
    return LayerOutput(value[0], value[1], value[2])


def _mapping(value: Mapping[str, Any], key: str, owner: str) -> Mapping[str, Any]:
    inner = value.get(key)
    if not isinstance(inner, dict):
        raise UnreadableInputError(f"{owner}: {key} is not a JSON object", hint=DAMAGED)
    return inner


def _first_doubled(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
