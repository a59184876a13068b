"""Functions that a Functional model calls on tensors without a layer: ``x / 255``, ``keras.ops.mean(x)``."""

from __future__ import annotations

from dataclasses import replace

from toolkit_keras.activations import Activation, add_activation
from toolkit_keras.graph_builder import LayerBuilder, Value, as_keras, elementwise, plain
from toolkit_keras.kinds_arithmetic import KINDS, broadcast_shape, merge
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape, snake_case
from toolkit_keras.modernise import NN_FUNCTIONS

_PARAMETERS = ("alpha", "approximate", "axis", "negative_slope")


def _function(name: str, function: str) -> LayerKind:
    """An activation."""

    def build(builder: LayerBuilder) -> Value:
        values = builder.config.values
        given = {key: values[key] for key in _PARAMETERS if values.get(key) is not None}
        return add_activation(builder, builder.input, Activation(function, given))

    return LayerKind(name, build)


def _single(name: str, operator: str) -> LayerKind:
    """One operation on each element."""
    return LayerKind(
        name, lambda builder: elementwise(builder.input, builder.add(operator, builder.input.name))
    )


def _binary(name: str, operator: str) -> LayerKind:
    return LayerKind(name, merge(operator, n_ary=False), broadcast_shape, inputs=2, constants=True)


def _reduced(config: LayerConfig, rank: int) -> list[int]:
    """The axes that are reduced, without the batch."""
    if config.values.get("axis") is None:
        config.refuse("works over all axes, the batch's included", "other axes")
    return sorted({config.own_axis(axis, rank) for axis in config.integers("axis")})


def _reduction(name: str, operator: str) -> LayerKind:
    def shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
        before = inputs[0]
        if before is None:
            return None
        gone, kept = _reduced(config, len(before)), config.flag("keepdims", default=False)
        sizes = [1 if axis in gone else size for axis, size in enumerate(before)]
        return tuple(size for axis, size in enumerate(sizes) if kept or axis not in gone)

    def build(builder: LayerBuilder) -> Value:
        value = as_keras(builder, builder.input)
        axes = [axis + 1 for axis in _reduced(builder.config, value.rank)]
        if not builder.output_shape:
            builder.config.refuse("leaves no axis but the batch's", "other axes")
        kept = int(builder.config.flag("keepdims", default=False))
        if operator == "ReduceSum":  # the only one whose axes are an input
            name = builder.add(operator, value.name, builder.whole_numbers(axes, "axes"), keepdims=kept)
        else:
            name = builder.add(operator, value.name, axes=axes, keepdims=kept)
        return plain(name, builder.output_shape)

    return LayerKind(name, build, shape)


_ALSO_LAYERS = ("ReLU", "Add", "Subtract", "Multiply", "Maximum", "Minimum", "Concatenate")
_SINGLE = {"Absolute": "Abs", "Log": "Log", "Negative": "Neg", "Sqrt": "Sqrt"}
_BINARY = {"Divide": "Div", "Power": "Pow", "TrueDivide": "Div"}

OPERATIONS = (
    *(_function(name, snake_case(name)) for name in (*NN_FUNCTIONS, "Tanh")),
    _function("Exp", "exponential"),
    *(replace(kind, constants=kind.name != "Concatenate") for kind in KINDS if kind.name in _ALSO_LAYERS),
    *(_single(name, operator) for name, operator in _SINGLE.items()),
    LayerKind(
        "Square", lambda builder: elementwise(builder.input, builder.add("Mul", *[builder.input.name] * 2))
    ),
    *(_binary(name, operator) for name, operator in _BINARY.items()),
    *(_reduction(name, f"Reduce{name}") for name in ("Max", "Mean", "Min", "Sum")),
)
