"""From a modernised configuration to a :class:`KerasNetwork`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from toolkit.errors import LimitReachedError, UnsupportedError
from toolkit_keras.file_errors import damaged_config
from toolkit_keras.keras_network import KerasNetwork, LayerCall, LayerNode, LayerOutput
from toolkit_keras.layer_config import LayerConfig, is_keras

MODEL_CLASSES = ("Sequential", "Functional", "Model")
MAX_LAYERS = 2_000
MAX_DEPTH = 20
MAX_VALUES = 500_000
"""Of a configuration: fifty times as many as those of a network of 200 layers."""

_CODE = ("Lambda", "__lambda__")


def load_json(text: str | bytes, what: str) -> dict[str, Any]:
    """Parse a JSON object, UTF-8 if it is bytes; ``what`` names it in error messages."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged_config(f"{what} is not JSON: {str(error)[:100]}") from error
    if not isinstance(value, dict):
        raise damaged_config(f"{what} is a JSON {type(value).__name__}, not an object")
    return value


def refuse_code(config: Any) -> None:
    """Refuse a configuration with Python code in it, or one nested deeper than any model's."""
    stack: list[tuple[Any, int, str]] = [(config, 0, "")]
    counted = 0
    while stack:
        value, depth, owner = stack.pop()
        counted += len(value) if isinstance(value, dict | list) else 0
        if counted > MAX_VALUES:
            raise LimitReachedError(
                f"the model's configuration has more than {MAX_VALUES:,} values",
                hint="models that recognise characters are far smaller",
            )
        if depth > 200:
            raise LimitReachedError("the model's configuration is more than 200 levels deep")
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
    """The network that a model's configuration, ``{"class_name", "config", …}``, describes."""
    kind = description.get("class_name")
    if kind not in MODEL_CLASSES:
        raise UnsupportedError(
            f"the model is of class {kind!r}, whose connections only its own code knows",
            hint="supported: Sequential and Functional models",
        )
    config = _config(description, str(kind))
    return _network(str(kind), config, (), trainable=True, repeated=False)


def _network(
    kind: str, config: Mapping[str, Any], path: tuple[str, ...], *, trainable: bool, repeated: bool
) -> KerasNetwork:
    name = "/".join(path) or str(config.get("name", ""))
    if len(path) > MAX_DEPTH:
        raise LimitReachedError(f"models are nested more than {MAX_DEPTH} deep")
    entries = config.get("layers")
    if not isinstance(entries, list) or not entries:
        raise damaged_config(f"model '{name}' has no list of layers")
    if len(entries) > MAX_LAYERS:
        raise LimitReachedError(f"model '{name}' has {len(entries)} layers, more than {MAX_LAYERS}")
    sequential = kind == "Sequential"
    trainable = trainable and config.get("trainable", True) is not False
    layers = [
        _layer(entry, name, path, sequential=sequential, trainable=trainable, repeated=repeated)
        for entry in entries
    ]
    known = Counter(layer.path[-1] for layer in layers)
    doubled, times = known.most_common(1)[0]
    if times > 1:
        raise damaged_config(f"model '{name}' has two layers called '{doubled}'")
    if sequential:
        return _sequential(name, layers)
    # Keras counts the calls of a nested Functional model from one in a model's list of outputs.
    from_one = {layer.path[-1] for layer in layers if layer.network and not layer.network.sequential}
    outputs = tuple(
        replace(source, call=max(source.call - 1, 0)) if source.layer in from_one else source
        for source in _sources(config.get("output_layers"), name)
    )
    inputs = tuple(_sources(config.get("input_layers"), name))
    if not inputs or not outputs:
        raise damaged_config(f"model '{name}' names no inputs or no outputs")
    for source in (*inputs, *outputs, *(s for layer in layers for call in layer.calls for s in call.sources)):
        if source.layer not in known:
            raise damaged_config(f"model '{name}' refers to '{source.layer}', which it does not have")
    return KerasNetwork(name, sequential=False, layers=tuple(layers), inputs=inputs, outputs=outputs)


def _sequential(name: str, layers: list[LayerNode]) -> KerasNetwork:
    """Layers in a row, each called once on the one before."""
    start = 1 if layers[0].kind == "InputLayer" else 0
    first = previous = LayerOutput(layers[0].path[-1] if start else "")
    chained = layers[:start]
    for layer in layers[start:]:
        chained.append(replace(layer, calls=(LayerCall((previous,)),)))
        previous = LayerOutput(layer.path[-1])
    return KerasNetwork(name, sequential=True, layers=tuple(chained), inputs=(first,), outputs=(previous,))


def _layer(
    entry: Any, model: str, above: tuple[str, ...], *, sequential: bool, trainable: bool, repeated: bool
) -> LayerNode:
    if not isinstance(entry, dict):
        raise damaged_config(f"model '{model}' has a layer that is no JSON object")
    kind = entry.get("class_name")
    config = _config(entry, f"a layer of model '{model}'")
    name = entry.get("name") or config.get("name")
    module = str(entry.get("module") or "")
    # A custom class is registered, or has another module.
    own = is_keras(module) and ">" not in f"{kind} {entry.get('registered_name')}"
    if isinstance(kind, str) and name is None and not own:
        raise UnsupportedError(
            f"model '{model}' contains a {kind[:100]!r}, a class that is not part of Keras",
            hint="supported: models built of Keras' layers",
        )
    if not isinstance(kind, str) or not isinstance(name, str) or not name or len(name) > 1000:
        raise damaged_config(f"model '{model}' has a layer without a class or a name")
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise damaged_config(f"model '{model}' has a layer called {name!r}")
    path = (*above, name)
    calls = () if sequential else _calls(entry.get("inbound_nodes"), name)
    trainable = trainable and config.get("trainable", True) is not False
    repeated = repeated or len(calls) > 1
    network = None
    if kind in MODEL_CLASSES and isinstance(config.get("layers"), list):
        network = _network(kind, config, path, trainable=trainable, repeated=repeated)
    settings = LayerConfig(config, "/".join(path))
    return LayerNode(path, kind, module, settings, calls, network, trainable, repeated)


def _calls(nodes: Any, layer: str) -> tuple[LayerCall, ...]:
    if nodes is None:
        return ()
    if not isinstance(nodes, list) or len(nodes) > MAX_LAYERS:
        raise damaged_config(f"layer '{layer}': inbound_nodes is not a list")
    calls = []
    for node in nodes:
        if not isinstance(node, dict):
            raise damaged_config(f"layer '{layer}': inbound_nodes holds {node!r}"[:200])
        sources, options = _arguments(node, layer)
        if options.get("training") is False:  # as at inference
            del options["training"]
        calls.append(LayerCall(tuple(sources), options))
    return tuple(calls)


def _arguments(node: Any, layer: str) -> tuple[list[LayerOutput], dict[str, Any]]:
    """Arguments as they were given, tensors as objects with their history."""
    options: dict[str, Any] = {}
    found: list[Any] = []
    _collect(node.get("args", []), found, layer)
    sources = [item for item in found if isinstance(item, LayerOutput)]
    if len(sources) < len(found):
        numbered = enumerate(found)
        options["constants"] = {place: item for place, item in numbered if not isinstance(item, LayerOutput)}
    keywords = node.get("kwargs", {})
    if not isinstance(keywords, dict):
        raise damaged_config(f"layer '{layer}': kwargs is not an object")
    for key, value in keywords.items():
        items: list[Any] = []
        _collect(value, items, layer)
        tensors = [item for item in items if isinstance(item, LayerOutput)]
        sources += tensors
        if len(tensors) < len(items) or (tensors and key == "mask"):
            options[key] = value if not isinstance(value, dict | list) else "given"
    return sources, options


def _collect(value: Any, found: list[Any], layer: str) -> None:
    """Gather the tensors in an argument and everything else in it, in order."""
    kind = value.get("class_name") if isinstance(value, dict) else None
    if kind in ("__keras_tensor__", "__tuple__"):
        config = _config(value, f"layer '{layer}'")
        if kind == "__tuple__":
            _collect(config.get("value", value.get("items")), found, layer)
        else:
            found.append(_source(config.get("keras_history"), layer))
    elif isinstance(value, list):
        for item in value:
            _collect(item, found, layer)
    elif value is not None:
        found.append(value)


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
        raise damaged_config(f"model '{model}': inputs or outputs hold {value!r}"[:200])


def _source(value: Any, owner: str) -> LayerOutput:
    match value:
        case [str(layer), int(call), int(output)] if 0 <= min(call, output) <= max(call, output) < MAX_LAYERS:
            return LayerOutput(layer, call, output)
    raise damaged_config(f"'{owner}' refers to {value!r}, which names no layer"[:200])


def _config(value: Mapping[str, Any], owner: str) -> Mapping[str, Any]:
    inner = value.get("config")
    if not isinstance(inner, dict):
        raise damaged_config(f"{owner}: config is not a JSON object")
    return inner
