"""Recurrent layers, which read a picture row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from toolkit.graph import Permute, Rearrangement, Reshape, Take
from toolkit.records import dataclass
from toolkit.tensors import TensorRole
from toolkit_keras.activations import activation_of
from toolkit_keras.graph_builder import LayerBuilder, Value, as_keras, plain
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape, Weight
from toolkit_keras.modernise import LEGACY_HARD_SIGMOID

CELL = "cell"


@dataclass(frozen=True)
class _Cell:
    """One kind of cell.

    Attributes:
        operator: ONNX' operator.
        gates: Number of gates.
        order: Of the gates in ONNX, by their places in Keras.
        functions: How many activations ONNX takes, the first of which is the recurrent one if there are more.
    """

    operator: str
    gates: int
    order: tuple[int, ...]
    functions: int


_CELLS = {
    "GRU": _Cell("GRU", 3, (0, 1, 2), 2),  # update, reset, candidate in both
    "LSTM": _Cell("LSTM", 4, (0, 3, 1, 2), 3),  # Keras: input, forget, candidate, output
    "SimpleRNN": _Cell("RNN", 1, (0,), 1),
}

_FUNCTIONS: Mapping[str, tuple[str, float | None, float | None]] = {
    "elu": ("Elu", 1.0, None),
    "hard_sigmoid": ("HardSigmoid", 1 / 6, 0.5),
    LEGACY_HARD_SIGMOID: ("HardSigmoid", 0.2, 0.5),
    "linear": ("Affine", 1.0, 0.0),
    "relu": ("Relu", None, None),
    "sigmoid": ("Sigmoid", None, None),
    "softplus": ("Softplus", None, None),
    "softsign": ("Softsign", None, None),
    "tanh": ("Tanh", None, None),
}
"""ONNX' name of an activation, its alpha and its beta."""


def _after_reset(config: LayerConfig, cell: _Cell) -> bool:
    """Whether a GRU multiplies the previous state after its kernel; it has a bias more then."""
    return cell.operator == "GRU" and config.flag("reset_after", default=True)


def _weights(cell: _Cell, prefix: str, place: str) -> Callable[[LayerConfig, Inputs], tuple[Weight, ...]]:
    def weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
        units, shape = config.size("units"), inputs[0]
        columns = cell.gates * units
        bias = (2, columns) if _after_reset(config, cell) else (columns,)
        found = [
            Weight(f"{prefix}kernel", (None if shape is None else shape[-1], columns), TensorRole.KERNEL),
            Weight(f"{prefix}recurrent_kernel", (units, columns), TensorRole.KERNEL),
        ]
        if config.flag("use_bias", default=True):
            found.append(Weight(f"{prefix}bias", bias, TensorRole.BIAS))
        return tuple(replace(weight, place=place) for weight in found)

    return weights


def _shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    shape = inputs[0]
    if shape is None:
        return None
    if len(shape) != 2:
        config.damaged(f"reads rows, its input has {len(shape) + 1} axes")
    units = config.size("units")
    return (shape[0], units) if config.flag("return_sequences", default=False) else (units,)


def _refuse_states(config: LayerConfig) -> None:
    for option in ("return_state", "stateful", "time_major"):
        if config.flag(option, default=False):
            config.refuse(f"{option} is true", "false")


def _functions(config: LayerConfig, cell: _Cell) -> dict[str, Any]:
    """The activations as attributes."""
    inner = activation_of(config).name
    recurrent = activation_of(
        replace(config, values={"activation": config.values.get("recurrent_activation")})
    )
    names = [inner] if cell.functions == 1 else [recurrent.name, *[inner] * (cell.functions - 1)]
    for name in names:
        if name not in _FUNCTIONS:
            config.refuse(f"activation '{name}' in a recurrent layer", ", ".join(sorted(_FUNCTIONS)))
    known = [_FUNCTIONS[name] for name in names]
    attributes: dict[str, Any] = {"activations": tuple(name for name, _, _ in known)}
    alphas, betas = ([given for entry in known if (given := entry[place]) is not None] for place in (1, 2))
    return (
        attributes
        | ({"activation_alpha": alphas} if alphas else {})
        | ({"activation_beta": betas} if betas else {})
    )


def _run(
    builder: LayerBuilder, cell: _Cell, rows: str, prefix: str, *, backwards: bool, part: str = ""
) -> str:
    """The states, (batch, steps, units) in the order of the steps, or the last one, (batch, units)."""
    config = builder.config
    units, columns = config.size("units"), config.size("units") * cell.gates
    gates = np.arange(columns).reshape(cell.gates, units)[list(cell.order)].reshape(-1)

    def bound(weight: str) -> str:
        size = builder.tensors[weight].shape[0]
        moves = (Permute((1, 0)), Take(tuple(gates.tolist())), Reshape((columns, size), (1, columns, size)))
        return builder.tensor(weight, Rearrangement(moves))

    bias = ""
    if f"{prefix}bias" in builder.tensors:
        if _after_reset(config, cell):
            joined = Rearrangement((Reshape((2, columns), (1, 2 * columns)),))
            bias = builder.tensor(f"{prefix}bias", joined)
        else:
            moves = (Take(tuple(gates.tolist())), Reshape((columns,), (1, columns)))
            none = builder.constant(np.zeros((1, columns)), f"{prefix}recurrent_bias")
            given = builder.tensor(f"{prefix}bias", Rearrangement(moves))
            bias = builder.add("Concat", given, none, part=f"{prefix}biases", axis=1)
    attributes = {
        "hidden_size": units,
        "direction": "reverse" if backwards else "forward",
        **_functions(config, cell),
        **({"linear_before_reset": int(_after_reset(config, cell))} if cell.operator == "GRU" else {}),
    }
    inputs = (rows, bound(f"{prefix}kernel"), bound(f"{prefix}recurrent_kernel"), bias)
    states = builder.add(cell.operator, *inputs, part=f"{prefix}states", **attributes)
    wanted = len(builder.output_shape) == 2
    if wanted:  # (steps, directions, batch, units)
        states = builder.add(
            "Squeeze", states, builder.whole_numbers((1,), "direction"), part=f"{prefix}steps"
        )
        return builder.add("Transpose", states, part=part, perm=(1, 0, 2))
    last = builder.whole_numbers((0 if backwards else -1,), "last")
    final = builder.add(
        "Gather", states, last, part=f"{prefix}final", axis=0
    )  # (1, directions, batch, units)
    return builder.add("Squeeze", final, builder.whole_numbers((0, 1), "gone"), part=part)


def _rows(builder: LayerBuilder) -> str:
    """(steps, batch, features), the only layout that onnxruntime computes."""
    value = as_keras(builder, builder.input)
    return builder.add("Transpose", value.name, part="rows", perm=(1, 0, 2))


def _recurrent(name: str) -> LayerKind:
    cell = _CELLS[name]

    def build(builder: LayerBuilder) -> Value:
        config = builder.config
        _refuse_states(config)
        backwards = config.flag("go_backwards", default=False)
        if backwards and len(builder.output_shape) == 2:
            config.refuse("go_backwards with return_sequences", "one of them")
        return plain(_run(builder, cell, _rows(builder), "", backwards=backwards), builder.output_shape)

    return LayerKind(name, build, _shape, _weights(cell, "", CELL))


_JOINED = {"sum": "Sum", "mul": "Mul", "ave": "Mean"}


def _sides(config: LayerConfig) -> tuple[tuple[str, LayerConfig], tuple[str, LayerConfig]]:
    """The kind and configuration of the layer for each direction."""
    found = []
    for key in ("layer", "backward_layer"):
        entry = config.values.get(key) or config.values.get("layer")
        inner = entry.get("config") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(inner, dict):
            config.wrong(key, "a layer")
        kind = str(entry.get("class_name"))
        if kind not in _CELLS:
            config.refuse(f"{kind} in both directions", ", ".join(_CELLS))
        found.append((kind, LayerConfig(inner, config.layer)))
    return found[0], found[1]


def _both_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    ahead, back = _sides(config)
    return (
        *_weights(_CELLS[ahead[0]], "forward_", "forward_layer/cell")(ahead[1], inputs),
        *_weights(_CELLS[back[0]], "backward_", "backward_layer/cell")(back[1], inputs),
    )


def _both_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    ahead, back = (_shape(side, inputs) for _, side in _sides(config))
    if ahead is None or back is None:
        return None
    if config.values.get("merge_mode", "concat") != "concat":
        return ahead
    units = (ahead[-1] or 0) + (back[-1] or 0)
    return (*ahead[:-1], units)


def _build_both(builder: LayerBuilder) -> Value:
    config = builder.config
    mode = config.choice("merge_mode", "concat", *_JOINED)
    rows, parts = _rows(builder), []
    sides = zip(("forward_", "backward_"), _sides(config), strict=True)
    for prefix, (kind, side) in sides:
        _refuse_states(side)
        own = replace(builder, config=side)
        backwards = prefix == "backward_"
        parts.append(_run(own, _CELLS[kind], rows, prefix, backwards=backwards, part=prefix.strip("_")))
    if mode == "concat":
        name = builder.add("Concat", *parts, axis=len(builder.output_shape))
    else:
        name = builder.add(_JOINED[mode], *parts)
    return plain(name, builder.output_shape)


KINDS = (
    *map(_recurrent, _CELLS),
    LayerKind("Bidirectional", _build_both, _both_shape, _both_weights),
)
