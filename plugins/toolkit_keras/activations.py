"""Activation functions, by name or as a layer inside another layer's configuration."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from toolkit.errors import UnsupportedError
from toolkit_keras.configuration import KERAS_PACKAGES
from toolkit_keras.graph_builder import LayerBuilder, Value, elementwise
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import own_axis
from toolkit_keras.modernise import LEGACY_HARD_SIGMOID

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


@dataclass(frozen=True, slots=True)
class Activation:
    """A function and the numbers that shape it.

    Attributes:
        name: Keras' own.
        parameters: Those that differ from function to function: ``negative_slope``, ``alpha``.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


LINEAR = Activation("linear")


def relu_of(config: LayerConfig) -> Activation:
    """What a ReLU layer computes."""
    parameters = {
        "negative_slope": config.number("negative_slope", 0.0),
        "max_value": config.optional_number("max_value"),
        "threshold": config.number("threshold", 0.0),
    }
    if parameters == {"negative_slope": 0.0, "max_value": None, "threshold": 0.0}:
        return Activation("relu")
    return Activation("relu", parameters)


def leaky_relu_of(config: LayerConfig) -> Activation:
    """What a LeakyReLU layer computes; its default differs from the function's."""
    default = config.number("alpha", 0.3)
    return Activation("leaky_relu", {"negative_slope": config.number("negative_slope", default)})


def elu_of(config: LayerConfig) -> Activation:
    """What an ELU layer computes."""
    return Activation("elu", {"alpha": config.number("alpha", 1.0)})


def softmax_of(config: LayerConfig) -> Activation:
    """What a Softmax layer computes."""
    axes = config.integers("axis", -1)
    if len(axes) != 1:
        raise UnsupportedError(
            f"layer '{config.layer}': a softmax over {len(axes)} axes", hint="supported: one axis"
        )
    return Activation("softmax") if axes == (-1,) else Activation("softmax", {"axis": axes[0]})


_LAYERS: Mapping[str, Callable[[LayerConfig], Activation]] = {
    "ReLU": relu_of,
    "LeakyReLU": leaky_relu_of,
    "ELU": elu_of,
    "Softmax": softmax_of,
}


def activation_of(config: LayerConfig, key: str = "activation") -> Activation:
    """The activation that a layer's configuration names.

    Raises:
        UnsupportedError: If it is a custom function.
    """
    value = config.values.get(key)
    if value is None:
        return LINEAR
    if isinstance(value, str):
        return Activation(value)
    if not isinstance(value, dict):
        config.wrong(key, "the name of a function")
    inner, kind = value.get("config"), str(value.get("class_name"))
    module = str(value.get("module") or "keras")
    if module.partition(".")[0] not in KERAS_PACKAGES:
        # Keras writes its own functions by name alone; a custom one may have one of their names.
        return Activation(f"custom {inner if isinstance(inner, str) else kind}")
    if isinstance(inner, str):
        return Activation(inner)
    if kind in _LAYERS and isinstance(inner, dict):
        return _LAYERS[kind](LayerConfig(inner, config.layer))
    if kind == "Activation" and isinstance(inner, dict):
        return activation_of(LayerConfig(inner, config.layer))
    return Activation(kind)


def add_activation(builder: LayerBuilder, value: Value, activation: Activation) -> Value:
    """Add an activation to the graph.

    Raises:
        UnsupportedError: If it is not known.
    """
    if activation.name == "linear":
        return value
    if activation.name in _ALONG_AN_AXIS:
        return _along_an_axis(builder, value, activation)
    function = _FUNCTIONS.get(activation.name)
    if function is None:
        supported = sorted({*_FUNCTIONS, *_ALONG_AN_AXIS, "linear"} - {LEGACY_HARD_SIGMOID})
        builder.refuse(f"activation '{activation.name}'", ", ".join(supported))

    def add(operator: str, *operands: str | float, **attributes: float) -> str:
        names = [each if isinstance(each, str) else builder.constant(each, "number") for each in operands]
        return builder.add(operator, *names, part=operator.lower(), **attributes)

    return elementwise(value, function(add, value.name, activation.parameters))


_ALONG_AN_AXIS = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}


def _along_an_axis(builder: LayerBuilder, value: Value, activation: Activation) -> Value:
    operator = _ALONG_AN_AXIS[activation.name]
    axis = own_axis(builder.config, int(activation.parameters.get("axis", -1)), value.rank)
    name = builder.add(operator, value.name, part=operator.lower(), axis=value.place(axis))
    return replace(value, name=name, probabilities=operator == "Softmax" and axis == value.rank - 1)


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


def _silu(add: _Add, x: str, _parameters: _Parameters) -> str:
    return add("Mul", x, add("Sigmoid", x))


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
    "selu": _single("Selu", alpha=_SELU_ALPHA, gamma=_SELU_SCALE),
    "sigmoid": _single("Sigmoid"),
    "silu": _silu,
    "softplus": _single("Softplus"),
    "softsign": _single("Softsign"),
    "swish": _silu,
    "tanh": _single("Tanh"),
    "tanh_shrink": lambda add, x, _: add("Sub", x, add("Tanh", x)),
}
