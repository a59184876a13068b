"""Batch normalisation folded into the operation before or behind it, where that is exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from toolkit_onnx.editing import EditableGraph, attribute, set_attribute
from toolkit_onnx.simplifying import is_dense

_Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Folding:
    """What became of a graph's batch normalisations.

    Attributes:
        folded: How many are gone.
        left: How many are still there: a nonlinearity stands before them, a padded convolution behind.
    """

    folded: int
    left: int


def fold_batch_normalisation(graph: EditableGraph) -> Folding:
    """Fold every batch normalisation that has a linear operation before it, or one behind it.

    A normalisation is x·scale + shift for each channel. Directly behind a convolution or a dense layer
    it is a part of kernel and bias. Otherwise it may go forward, through pooling and flattening, into a
    dense layer, or into a convolution without padding (padding adds zeros behind the normalisation, so
    its shift would be missing at the border). Computed in float64, cast to float32 once.
    """
    folded = left = 0
    for node in list(graph.nodes):
        if node.op_type != "BatchNormalization":
            continue
        found = _scale_and_shift(graph, node)
        if found is not None and (_fold_back(graph, node, *found) or _fold_forward(graph, node, *found)):
            folded += 1
        else:
            left += 1
    graph.drop_unused()
    return Folding(folded, left)


def _scale_and_shift(graph: EditableGraph, node: NodeProto) -> tuple[_Vector, _Vector] | None:
    if not all(name in graph.constants for name in node.input[1:5]):
        return None
    if attribute(node, "training_mode", 0) or not attribute(node, "spatial", 1):
        return None
    gamma, beta, mean, variance = (graph.constants[name].astype(np.float64) for name in node.input[1:5])
    scale = gamma / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
    return scale, beta - mean * scale


def _fold_back(graph: EditableGraph, node: NodeProto, scale: _Vector, shift: _Vector) -> bool:
    value = node.input[0]
    before = graph.maker(value)
    if before is None or graph.only_user(value) is not node:
        return False
    if not _has_constant_weights(graph, before):
        return False
    kernel = graph.constants[before.input[1]].astype(np.float64)
    if before.op_type == "Conv":
        scaled = kernel * scale.reshape(-1, *(1,) * (kernel.ndim - 1))
    elif before.op_type == "ConvTranspose":
        if attribute(before, "group", 1) != 1:
            return False
        scaled = kernel * scale.reshape(1, -1, *(1,) * (kernel.ndim - 2))
    elif before.op_type == "MatMul" or not attribute(before, "transB", 0):
        scaled = kernel * scale
    else:
        scaled = kernel * scale[:, np.newaxis]
    _set_weights(graph, before, scaled, _bias(graph, before, len(scale)) * scale + shift)
    before.output[0] = node.output[0]
    graph.remove(node)
    return True


def _fold_forward(graph: EditableGraph, node: NodeProto, scale: _Vector, shift: _Vector) -> bool:
    value = node.output[0]
    behind = graph.only_user(value)
    while behind is not None and behind.op_type in _PASSABLE and behind.input[0] == value:
        passed = _pass_through(graph, behind, scale, shift)
        if passed is None:
            return False
        scale, shift = passed
        value = behind.output[0]
        behind = graph.only_user(value)
    if behind is None or behind.input[0] != value or not _has_constant_weights(graph, behind):
        return False
    kernel = graph.constants[behind.input[1]].astype(np.float64)
    if behind.op_type == "Conv":
        if np.any(shift) and not _is_unpadded(behind):
            return False
        groups = attribute(behind, "group", 1)
        taken = scale.reshape(groups, -1)[np.repeat(np.arange(groups), kernel.shape[0] // groups)]
        added = shift.reshape(groups, -1)[np.repeat(np.arange(groups), kernel.shape[0] // groups)]
        beyond = (1,) * (kernel.ndim - 2)
        scaled = kernel * taken.reshape(*taken.shape, *beyond)
        extra = (kernel * added.reshape(*added.shape, *beyond)).reshape(kernel.shape[0], -1).sum(axis=1)
    elif behind.op_type in ("Gemm", "MatMul"):
        turned = behind.op_type == "Gemm" and bool(attribute(behind, "transB", 0))
        rows = kernel.T if turned else kernel
        if len(scale) != len(rows):
            return False
        alpha = attribute(behind, "alpha", 1.0) if behind.op_type == "Gemm" else 1.0
        extra = alpha * (shift @ rows)
        scaled = rows * scale[:, np.newaxis]
        scaled = scaled.T if turned else scaled
    else:
        return False
    _set_weights(graph, behind, scaled, _bias(graph, behind, len(extra)) + extra)
    graph.bypass(node)
    return True


_PASSABLE = frozenset({"AveragePool", "Flatten", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "Reshape"})


def _pass_through(
    graph: EditableGraph, node: NodeProto, scale: _Vector, shift: _Vector
) -> tuple[_Vector, _Vector] | None:
    """Scale and shift behind an operation that they may be swapped with; None where they may not."""
    if node.op_type in ("MaxPool", "GlobalMaxPool"):
        return (scale, shift) if len(node.output) == 1 and not np.any(scale < 0) else None
    if node.op_type == "GlobalAveragePool":
        return scale, shift
    if node.op_type == "AveragePool":
        return None if attribute(node, "count_include_pad", 0) else (scale, shift)
    before, after = graph.shape(node.input[0]), graph.shape(node.output[0])
    if before is None or after is None or len(after) != 2 or before[1] != len(scale):
        return None
    size: Any = 1
    for axis in before[1:]:
        if axis is None:
            return None
        size *= axis
    if after[1] != size:
        return None
    return np.repeat(scale, size // len(scale)), np.repeat(shift, size // len(shift))


def _has_constant_weights(graph: EditableGraph, node: NodeProto) -> bool:
    if node.op_type == "MatMul":
        return is_dense(graph, node)
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm") or node.input[1] not in graph.constants:
        return False
    if node.op_type == "Gemm" and attribute(node, "transA", 0):
        return False
    if not _has_bias(node):
        return True
    bias = graph.constants.get(node.input[2])
    return bias is not None and (bias.ndim < 2 or len(bias) == 1)


def _has_bias(node: NodeProto) -> bool:
    return node.op_type != "MatMul" and len(node.input) > 2 and bool(node.input[2])


def _bias(graph: EditableGraph, node: NodeProto, width: int) -> _Vector:
    if not _has_bias(node):
        return np.zeros(width)
    bias = graph.constants[node.input[2]].astype(np.float64)
    if node.op_type == "Gemm":
        bias = bias * attribute(node, "beta", 1.0)
        return np.broadcast_to(bias, (1, width)).reshape(-1)
    return bias


def _set_weights(graph: EditableGraph, node: NodeProto, kernel: NDArray[np.float64], bias: _Vector) -> None:
    kernel_name = node.input[1]
    graph.replace_constant(node, 1, kernel.astype(np.float32))
    if _has_bias(node):
        graph.replace_constant(node, 2, bias.astype(np.float32))
    else:
        layer = kernel_name.rpartition("/")[0] or kernel_name
        name = graph.unused_name(f"{layer}/bias")
        graph.constants[name] = bias.astype(np.float32)
        del node.input[2:]
        node.input.append(name)
    if node.op_type in ("Gemm", "MatMul"):
        node.op_type = "Gemm"
        set_attribute(node, "beta", 1.0)


def _is_unpadded(node: NodeProto) -> bool:
    if attribute(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return False
    return attribute(node, "auto_pad", "NOTSET") == "VALID" or not any(attribute(node, "pads", ()))
