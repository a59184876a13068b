"""Configurations of older versions of Keras, converted to today's.

The function that a network computes stays the same; a file written from the result loads in
Keras 3 even if the original does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolkit_keras.configuration import MODEL_CLASSES
from toolkit_keras.keras_1 import of_keras_2
from toolkit_keras.legacy_calls import with_todays_calls

LEGACY_HARD_SIGMOID = "hard_sigmoid_of_keras_2"

_NOT_PART_OF_A_NETWORK = ("compile_config", "keras_version", "backend")
_DROPPED = {
    "InputLayer": ("ragged", "sparse", "optional"),
    "DepthwiseConv2D": ("groups", "filters", "kernel_initializer", "kernel_regularizer", "kernel_constraint"),
    "SeparableConv2D": ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"),
    "BatchNormalization": ("virtual_batch_size", "fused", "adjustment"),
    **dict.fromkeys(("GRU", "LSTM", "SimpleRNN"), ("implementation", "input_dim", "input_length")),
}
NN_FUNCTIONS = (
    *("Elu", "Gelu", "HardSigmoid", "HardSilu", "LeakyRelu", "LogSoftmax", "Relu", "Relu6", "Selu"),
    *("Sigmoid", "Silu", "Softmax", "Softplus", "Softsign"),
)
_NUMPY_FUNCTIONS = (
    *("Absolute", "Add", "Average", "Concatenate", "Divide", "Dot", "Exp", "Log", "Max", "Maximum"),
    *("Mean", "Min", "Minimum", "Multiply", "Negative", "Power", "Reshape", "Sqrt", "Square", "Subtract"),
    *("Sum", "Tanh", "TrueDivide"),
)
_OPERATIONS = {
    **dict.fromkeys(_NUMPY_FUNCTIONS, "keras.src.ops.numpy"),
    **dict.fromkeys(NN_FUNCTIONS, "keras.src.ops.nn"),
}


def modernise(config: Mapping[str, Any], keras_version: str) -> dict[str, Any]:
    """A copy of a model's configuration that today's Keras understands.

    Memory addresses (``shared_object_id``) and the training's configuration are left out: they
    do not belong to the network, and would make equal networks look different. The version is
    empty if the file does not say which Keras wrote it.
    """
    major = keras_version.partition(".")[0]
    top = {key: value for key, value in config.items() if key not in _NOT_PART_OF_A_NETWORK}
    return _model(_without_addresses(top), legacy=not major.isdigit() or int(major) < 3)


def _without_addresses(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_addresses(item) for key, item in value.items() if key != "shared_object_id"}
    if isinstance(value, list):
        return [_without_addresses(item) for item in value]
    return value


def _model(entry: dict[str, Any], *, legacy: bool) -> dict[str, Any]:
    config = entry.get("config")
    if isinstance(config, list):  # Keras 2.0 and 2.1: a Sequential is the list of its layers
        config = {"name": "sequential", "layers": config}
    if not isinstance(config, dict):
        return entry
    layers = config.get("layers")
    if not isinstance(layers, list):
        return entry | {"config": config}
    entry = {key: value for key, value in entry.items() if key != "compile_config"}
    if entry.get("class_name") == "Sequential":
        layers = _with_input_layer(layers, config)
    if entry.get("class_name") == "Model":
        entry = entry | {"class_name": "Functional"}
    layers = [_layer(layer, legacy=legacy) if isinstance(layer, dict) else layer for layer in layers]
    config = config | {"layers": layers}
    return entry | {
        "config": config if entry.get("class_name") == "Sequential" else with_todays_calls(config)
    }


def _layer(entry: dict[str, Any], *, legacy: bool) -> dict[str, Any]:
    if legacy:
        entry = of_keras_2(entry)
    config = entry.get("config")
    kind = entry.get("class_name")
    shape = config.pop("batch_input_shape", None) if isinstance(config, dict) else None
    if kind in MODEL_CLASSES:
        return _model(entry, legacy=legacy)
    if not isinstance(config, dict) or not isinstance(kind, str):
        return entry
    if kind == "BatchNormalizationV1":
        kind = "BatchNormalization"
    config |= {
        key: _layer(config[key], legacy=legacy)
        for key in ("layer", "backward_layer")
        if isinstance(config.get(key), dict)
    }
    if legacy:
        config = {key: value for key, value in config.items() if key not in _DROPPED.get(kind, ())}
    if kind == "InputLayer" and shape is not None:
        config.setdefault("batch_shape", shape)
    axis = config.get("axis")
    if kind in ("BatchNormalization", "Softmax") and isinstance(axis, list) and len(axis) == 1:
        config["axis"] = axis[0]
    if legacy:
        config = {key: _legacy_value(key, value) for key, value in config.items()}
        if config.get("time_major") is False:
            del config["time_major"]
        if kind == "GRU":
            config.setdefault("reset_after", False)
        if kind == "LeakyReLU" and "alpha" in config:
            config["negative_slope"] = config.pop("alpha")
    return _with_operation_named(entry | {"class_name": kind, "config": config})


def _with_operation_named(entry: dict[str, Any]) -> dict[str, Any]:
    """An `.h5` file does not tell ``x + y`` from the layer Add, so Keras loads neither rightly.

    A layer's configuration says whether it is trainable, a function's does not.
    """
    kind = entry["class_name"]
    nodes = entry.get("inbound_nodes")
    called_today = isinstance(nodes, list) and any(isinstance(node, dict) for node in nodes)
    a_layer = bool({"trainable", "dtype"} & entry["config"].keys())
    if entry.get("module") or kind not in _OPERATIONS or not called_today or a_layer:
        return entry
    return {"module": _OPERATIONS[kind], **entry, "registered_name": kind}


def _legacy_value(key: str, value: Any) -> Any:
    if key == "dtype" and isinstance(value, dict):
        policy = value.get("config")
        return policy.get("name", "float32") if isinstance(policy, dict) else "float32"
    if key.endswith("_initializer") and isinstance(value, dict) and isinstance(value.get("config"), dict):
        return value | {"config": {name: item for name, item in value["config"].items() if name != "dtype"}}
    if key in ("activation", "recurrent_activation") and value == "hard_sigmoid":
        return LEGACY_HARD_SIGMOID  # clip(0.2 x + 0.5) then, clip(x / 6 + 0.5) now
    return value


def _with_input_layer(layers: list[Any], config: Mapping[str, Any]) -> list[Any]:
    """The layers of a Sequential after an InputLayer: Keras 2 told the first one its input's shape."""
    first = layers[0] if layers and isinstance(layers[0], dict) else {}
    if first.get("class_name") == "InputLayer":
        return layers
    shape = _declared_shape(first) or config.get("build_input_shape")
    if not isinstance(shape, list):
        return layers
    inner = first.get("config")
    name = inner.get("name", "model") if isinstance(inner, dict) else "model"
    settings = {"batch_shape": shape, "dtype": "float32", "name": f"{name}_input"}
    entry: dict[str, Any] = {"class_name": "InputLayer", "config": settings}
    if "module" in first:
        entry = {"module": "keras.layers", **entry, "registered_name": None}
    return [entry, *layers]


def _declared_shape(entry: Any) -> Any:
    """The input's shape that a layer declares, or the first layer of a nested model; None if none does."""
    config = entry.get("config") if isinstance(entry, dict) else None
    layers = (
        config if isinstance(config, list) else config.get("layers") if isinstance(config, dict) else None
    )
    if isinstance(layers, list):
        return _declared_shape(layers[0]) if layers else None
    if not isinstance(config, dict):
        return None
    return config.get("batch_input_shape") or config.get("batch_shape")
