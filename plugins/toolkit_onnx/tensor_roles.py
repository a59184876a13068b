"""The role of a tensor of an ONNX graph, from the operation that uses it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from toolkit.graph import Node
from toolkit.graph.graph import QUANTISED_OPERATORS
from toolkit.tensors import TensorRole

_KERNEL = ("kernel", TensorRole.KERNEL)
_RECURRENT = ("recurrent_kernel", TensorRole.KERNEL)
_BIAS = ("bias", TensorRole.BIAS)
_SCALE = ("gamma", TensorRole.SCALE)
_SHIFT = ("beta", TensorRole.SHIFT)

_SLOTS: Mapping[str, Mapping[int, tuple[str, TensorRole]]] = {
    "Conv": {1: _KERNEL, 2: _BIAS},
    "ConvTranspose": {1: _KERNEL, 2: _BIAS},
    "Gemm": {0: _KERNEL, 1: _KERNEL, 2: _BIAS},
    "MatMul": {0: _KERNEL, 1: _KERNEL},
    "BatchNormalization": {
        1: _SCALE,
        2: _SHIFT,
        3: ("moving_mean", TensorRole.RUNNING_MEAN),
        4: ("moving_variance", TensorRole.RUNNING_VARIANCE),
    },
    **{f"{kind}Normalization": {1: _SCALE, 2: _SHIFT} for kind in ("Group", "Instance", "Layer")},
    "PRelu": {1: ("alpha", TensorRole.OTHER)},
    **{kind: {1: _KERNEL, 2: _RECURRENT, 3: _BIAS} for kind in ("GRU", "LSTM", "RNN")},
}
_ELEMENTWISE = {"Add": _BIAS, "Sub": _BIAS, "Mul": _SCALE, "Div": _SCALE}
_LEARNT_TABLES = {"Concat", "Einsum", "Gather"}
_WEIGHT_WORDS = {
    *("alpha", "beta", "bias", "depthwise_kernel", "embeddings", "gamma", "kernel", "moving_mean"),
    *("moving_variance", "pointwise_kernel", "recurrent_kernel", "running_mean", "running_var"),
    *("scale", "weight"),
}


def slot(node: Node, place: int, size: int, *, is_float: bool) -> tuple[str, TensorRole] | None:
    """Name and role of a constant that a node takes as the input ``place``.

    None if it is no weight, such as a shape, an axis or a bound.
    """
    if node.operator in QUANTISED_OPERATORS:
        return f"input_{place}", TensorRole.OTHER
    if not is_float:
        return None
    known = _SLOTS.get(node.operator, {}).get(place)
    if known is not None:
        return known
    if size > 1 and node.operator in _LEARNT_TABLES:
        return f"table_{place}", TensorRole.OTHER
    return _ELEMENTWISE.get(node.operator) if size > 1 else None


def given_name(initializer: str) -> tuple[str, str] | None:
    """Layer and weight, if the initializer's name contains them: ``conv2d/kernel``, ``fc1.weight``."""
    found = re.fullmatch(r"([\w.\-]+(?:/[\w.\-]+)*)[/.]([\w\-]+)", initializer)
    return (found[1], found[2]) if found and found[2] in _WEIGHT_WORDS else None


def layer_name(node: Node) -> str:
    """A node's name as a layer's, ``conv1`` for PyTorch's ``/conv1/Conv``; empty if it has none."""
    parts = [re.sub(r"[^\w.\-]", "_", part) for part in node.name.split("/") if part]
    if len(parts) > 1 and re.fullmatch(rf"{re.escape(node.operator)}(_\d+)?", parts[-1]):
        parts.pop()
    return "/".join(parts)
