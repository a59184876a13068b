"""Activation functions, by name or as a layer inside another layer's configuration."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import Any

from toolkit.records import dataclass
from toolkit_keras.graph_builder import LayerBuilder, Value, elementwise
from toolkit_keras.layer_config import LayerConfig, is_keras
from toolkit_keras.modernise import LEGACY_HARD_SIGMOID


@dataclass(frozen=True)
class Activation:
    """A function of Keras' and its numbers, such as ``negative_slope``."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def _relu_of(config: LayerConfig) -> Activation:
    limited = config.values.get("max_value") is not None
    parameters = {
        "negative_slope": config.number("negative_slope", 0.0),
        "max_value": config.number("max_value", 0.0) if limited else None,
        "threshold": config.number("threshold", 0.0),
    }
    return Activation("relu", parameters)


def _leaky_relu_of(config: LayerConfig) -> Activation:
    slope = config.number("negative_slope", config.number("alpha", 0.3))  # the function's default is 0.2
    return Activation("leaky_relu", {"negative_slope": slope})


def activation_of(config: LayerConfig) -> Activation:
    """The activation that a layer's configuration names."""
    value = config.values.get("activation")
    if value is None:
        return Activation("linear")
    if isinstance(value, str):
        return Activation(value)
    if not isinstance(value, dict):
        config.wrong("activation", "the name of a function")
    inner, kind = value.get("config"), str(value.get("class_name"))
    if not is_keras(str(value.get("module") or "")):
        # Keras writes its own functions by name alone; a custom one may have one of their names.
        return Activation(f"custom {inner if isinstance(inner, str) else kind}")
    if isinstance(inner, str):
        return Activation(inner)
    if kind in ACTIVATION_LAYERS and isinstance(inner, dict):
        return ACTIVATION_LAYERS[kind](LayerConfig(inner, config.layer))
    return Activation(kind)


ACTIVATION_LAYERS: Mapping[str, Callable[[LayerConfig], Activation]] = {
    "Activation": activation_of,
    "ReLU": _relu_of,
    "LeakyReLU": _leaky_relu_of,
    "ELU": lambda config: Activation("elu", {"alpha": config.number("alpha", 1.0)}),
    "Softmax": lambda config: Activation("softmax", {"axis": config.only_axis("a softmax")}),
}
"""What the layers compute that are nothing but an activation."""


def activated(builder: LayerBuilder, value: Value) -> Value:
    """A layer's result after the activation in its configuration."""
    return add_activation(builder, value, activation_of(builder.config))


def add_activation(builder: LayerBuilder, value: Value, activation: Activation) -> Value:
    """Add an activation to the graph; an unknown one is unsupported."""
    if activation.name == "linear":
        return value
    if activation.name in _ALONG_AN_AXIS:
        return _along_an_axis(builder, value, activation)
    function = _FUNCTIONS.get(activation.name)
    if function is None:
        supported = sorted({*_FUNCTIONS, *_ALONG_AN_AXIS, "linear"} - {LEGACY_HARD_SIGMOID})
        builder.config.refuse(f"activation '{activation.name}'", ", ".join(supported))

    def add(operator: str, *operands: str | float, **attributes: float) -> str:
        names = [each if isinstance(each, str) else builder.constant(each, "number") for each in operands]
        return builder.add(operator, *names, part=operator.lower(), **attributes)

    return elementwise(value, function(add, value.name, activation.parameters))


_ALONG_AN_AXIS = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}


def _along_an_axis(builder: LayerBuilder, value: Value, activation: Activation) -> Value:
    operator = _ALONG_AN_AXIS[activation.name]
    axis = builder.config.own_axis(int(activation.parameters.get("axis", -1)), value.rank)
    name = builder.add(operator, value.name, part=operator.lower(), axis=value.place(axis))
    return replace(value, name=name)


_Add = Callable[..., str]
"""Adds an operation on values and numbers."""

_Parameters = Mapping[str, Any]
_Function = Callable[[_Add, str, _Parameters], str]


def _single(operator: str, **attributes: float) -> _Function:
    """One ONNX operation with fixed numbers."""
    return lambda add, x, _: add(operator, x, **attributes)


def _with_alpha(operator: str, parameter: str, default: float) -> _Function:
    """One ONNX operation with one number of the layer's, which ONNX calls alpha."""
    return lambda add, x, parameters: add(operator, x, alpha=float(parameters.get(parameter, default)))


def _relu(add: _Add, x: str, parameters: _Parameters) -> str:
    slope = parameters.get("negative_slope", 0.0)
    top = parameters.get("max_value")
    threshold = parameters.get("threshold", 0.0)
    if slope and top is None and not threshold:
        return add("LeakyRelu", x, alpha=slope)
    positive = x
    if threshold:
        positive = add("Where", add("Greater", x, threshold), x, 0.0)
    elif top is None:
        positive = add("Relu", x)
    if top is not None:
        positive = add("Clip", positive, 0.0, top)
    if not slope:
        return positive
    return add("Sub", positive, add("Mul", add("Relu", add("Sub", threshold, x)), slope))


def _gelu(add: _Add, x: str, parameters: _Parameters) -> str:
    if parameters.get("approximate"):
        cube = add("Mul", add("Mul", x, x), x)
        inner = add("Add", x, add("Mul", cube, 0.044715))
        gate = add("Tanh", add("Mul", inner, math.sqrt(2.0 / math.pi)))
    else:
        gate = add("Erf", add("Mul", x, math.sqrt(0.5)))
    return add("Mul", add("Mul", x, 0.5), add("Add", gate, 1.0))


_FUNCTIONS: Mapping[str, _Function] = {
    "celu": _with_alpha("Celu", "alpha", 1.0),
    "elu": _with_alpha("Elu", "alpha", 1.0),
    "exponential": _single("Exp"),
    "gelu": _gelu,
    "hard_sigmoid": _single("HardSigmoid", alpha=1 / 6, beta=0.5),
    LEGACY_HARD_SIGMOID: _single("HardSigmoid", alpha=0.2, beta=0.5),
    "hard_silu": _single("HardSwish"),
    "hard_swish": _single("HardSwish"),
    "hard_tanh": lambda add, x, _: add("Clip", x, -1.0, 1.0),
    "leaky_relu": _with_alpha("LeakyRelu", "negative_slope", 0.2),
    "log_sigmoid": lambda add, x, _: add("Neg", add("Softplus", add("Neg", x))),
    "mish": lambda add, x, _: add("Mul", x, add("Tanh", add("Softplus", x))),
    "relu": _relu,
    "relu6": lambda add, x, _: add("Clip", x, 0.0, 6.0),
    "selu": _single("Selu", alpha=1.6732632423543772, gamma=1.0507009873554805),
    "sigmoid": _single("Sigmoid"),
    **dict.fromkeys(("silu", "swish"), lambda add, x, _: add("Mul", x, add("Sigmoid", x))),
    "softplus": _single("Softplus"),
    "softsign": _single("Softsign"),
    "tanh": _single("Tanh"),
    "tanh_shrink": lambda add, x, _: add("Sub", x, add("Tanh", x)),
}
