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
    function = _FUNCTIONS.get(activation.name)
    if function is None:
        supported = sorted({*_FUNCTIONS, "linear"} - {LEGACY_HARD_SIGMOID})
        builder.refuse(f"activation '{activation.name}'", ", ".join(supported))
    return function(builder, value, activation.parameters)


_Parameters = Mapping[str, Any]
_Function = Callable[[LayerBuilder, Value, _Parameters], Value]


def _single(kind: str, **attributes: float) -> _Function:
    """One ONNX operation with fixed numbers."""

    def build(builder: LayerBuilder, value: Value, _parameters: _Parameters) -> Value:
        return elementwise(value, builder.add(kind, value.name, part=kind.lower(), **attributes))

    return build


def _sloped(kind: str, parameter: str, default: float) -> _Function:
    """One ONNX operation with one number of the layer's own, which ONNX calls alpha."""

    def build(builder: LayerBuilder, value: Value, parameters: _Parameters) -> Value:
        number = float(parameters.get(parameter, default))
        return elementwise(value, builder.add(kind, value.name, part=kind.lower(), alpha=number))

    return build


def _relu(builder: LayerBuilder, value: Value, parameters: _Parameters) -> Value:
    slope = parameters.get("negative_slope", 0.0)
    top = parameters.get("max_value")
    threshold = parameters.get("threshold", 0.0)
    x = value.name
    if slope and top is None and not threshold:
        return elementwise(value, builder.add("LeakyRelu", x, part="leakyrelu", alpha=slope))
    if threshold:
        edge = builder.constant(threshold, "threshold")
        above = builder.add("Greater", x, edge, part="above")
        positive = builder.add("Where", above, x, builder.constant(0.0, "zero"), part="kept")
        if top is not None:
            positive = _clip(builder, positive, 0.0, top)
    elif top is not None:
        positive = _clip(builder, x, 0.0, top)
    else:
        positive = builder.add("Relu", x, part="relu")
    if not slope:
        return elementwise(value, positive)
    below = builder.add("Sub", builder.constant(threshold, "edge"), x, part="below")
    negative = builder.add("Relu", below, part="negative")
    scaled = builder.add("Mul", negative, builder.constant(slope, "slope"), part="sloped")
    return elementwise(value, builder.add("Sub", positive, scaled, part="relu"))


def _clip(builder: LayerBuilder, name: str, low: float, high: float) -> str:
    return builder.add(
        "Clip", name, builder.constant(low, "low"), builder.constant(high, "high"), part="clip"
    )


def _relu6(builder: LayerBuilder, value: Value, _parameters: _Parameters) -> Value:
    return elementwise(value, _clip(builder, value.name, 0.0, 6.0))


def _hard_tanh(builder: LayerBuilder, value: Value, _parameters: _Parameters) -> Value:
    return elementwise(value, _clip(builder, value.name, -1.0, 1.0))


def _along(kind: str) -> _Function:
    """A softmax of some kind, along an axis."""

    def build(builder: LayerBuilder, value: Value, parameters: _Parameters) -> Value:
        axis = own_axis(builder.config, int(parameters.get("axis", -1)), value.rank)
        name = builder.add(kind, value.name, part=kind.lower(), axis=value.place(axis))
        return replace(value, name=name, probabilities=kind == "Softmax" and axis == value.rank - 1)

    return build


def _gelu(builder: LayerBuilder, value: Value, parameters: _Parameters) -> Value:
    x = value.name
    if parameters.get("approximate"):
        cube = builder.add("Mul", builder.add("Mul", x, x, part="square"), x, part="cube")
        bent = builder.add("Mul", cube, builder.constant(0.044715, "bend"), part="bent")
        inner = builder.add("Add", x, bent, part="inner")
        scaled = builder.add("Mul", inner, builder.constant(math.sqrt(2.0 / math.pi), "scale"), part="scaled")
        gate = builder.add("Tanh", scaled, part="gate")
    else:
        scaled = builder.add("Mul", x, builder.constant(math.sqrt(0.5), "scale"), part="scaled")
        gate = builder.add("Erf", scaled, part="gate")
    lifted = builder.add("Add", gate, builder.constant(1.0, "one"), part="lifted")
    half = builder.add("Mul", x, builder.constant(0.5, "half"), part="halved")
    return elementwise(value, builder.add("Mul", half, lifted, part="gelu"))


def _silu(builder: LayerBuilder, value: Value, _parameters: _Parameters) -> Value:
    gate = builder.add("Sigmoid", value.name, part="gate")
    return elementwise(value, builder.add("Mul", value.name, gate, part="silu"))


def _mish(builder: LayerBuilder, value: Value, _parameters: _Parameters) -> Value:
    gate = builder.add("Tanh", builder.add("Softplus", value.name, part="softplus"), part="gate")
    return elementwise(value, builder.add("Mul", value.name, gate, part="mish"))


def _log_sigmoid(builder: LayerBuilder, value: Value, _parameters: _Parameters) -> Value:
    negated = builder.add("Neg", value.name, part="negated")
    return elementwise(
        value, builder.add("Neg", builder.add("Softplus", negated, part="softplus"), part="log")
    )


def _tanh_shrink(builder: LayerBuilder, value: Value, _parameters: _Parameters) -> Value:
    return elementwise(
        value, builder.add("Sub", value.name, builder.add("Tanh", value.name, part="tanh"), part="shrink")
    )


_FUNCTIONS: Mapping[str, _Function] = {
    "celu": _sloped("Celu", "alpha", 1.0),
    "elu": _sloped("Elu", "alpha", 1.0),
    "exponential": _single("Exp"),
    "gelu": _gelu,
    "hard_sigmoid": _single("HardSigmoid", alpha=1 / 6, beta=0.5),
    LEGACY_HARD_SIGMOID: _single("HardSigmoid", alpha=0.2, beta=0.5),
    "hard_silu": _single("HardSwish"),
    "hard_swish": _single("HardSwish"),
    "hard_tanh": _hard_tanh,
    "leaky_relu": _sloped("LeakyRelu", "negative_slope", 0.2),
    "log_sigmoid": _log_sigmoid,
    "log_softmax": _along("LogSoftmax"),
    "mish": _mish,
    "relu": _relu,
    "relu6": _relu6,
    "selu": _single("Selu", alpha=_SELU_ALPHA, gamma=_SELU_SCALE),
    "sigmoid": _single("Sigmoid"),
    "silu": _silu,
    "softmax": _along("Softmax"),
    "softplus": _single("Softplus"),
    "softsign": _single("Softsign"),
    "swish": _silu,
    "tanh": _single("Tanh"),
    "tanh_shrink": _tanh_shrink,
}
