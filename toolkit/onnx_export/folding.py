"""Folding batch normalisation into the operation before or after it, if that is exact."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.graph.channels import Channels, Layout, Segment, regrouped
from toolkit.graph.editing import EditableGraph, EditableNode
from toolkit.onnx_export.simplifying import is_dense

_Vector = NDArray[np.float64]
_ROWS = 256


def fold_batch_normalisation(graph: EditableGraph) -> int:
    """Fold every batch normalisation that has a linear operation before it, or one after it.

    A normalisation is x·scale + shift for each channel. Directly after a convolution or a dense layer
    it becomes a part of kernel and bias. Otherwise it may move forward, through pooling and flattening,
    into a dense layer, or into a convolution without padding (padding adds zeros after the
    normalisation, so its shift would be missing at the border). Computed in float64, cast to float32 once.

    Returns how many were folded; those between a nonlinearity and a padded convolution remain.
    """
    folded = 0
    for node in list(graph.nodes):
        found = _scale_and_shift(graph, node) if node.operator == "BatchNormalization" else None
        if found is not None and (_fold_back(graph, node, *found) or _fold_forward(graph, node, *found)):
            folded += 1
    graph.drop_unused()
    return folded


def _scale_and_shift(graph: EditableGraph, node: EditableNode) -> tuple[_Vector, _Vector] | None:
    if not all(name in graph.constants for name in node.inputs[1:5]):
        return None
    if node.attributes.get("training_mode", 0) or not node.attributes.get("spatial", 1):
        return None
    gamma, beta, mean, variance = (graph.constants[name].astype(np.float64) for name in node.inputs[1:5])
    scale = gamma / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    return scale, beta - mean * scale


def _fold_back(graph: EditableGraph, node: EditableNode, scale: _Vector, shift: _Vector) -> bool:
    before = graph.producer(node.inputs[0])
    if (
        before is None
        or graph.only_user(node.inputs[0]) is not node
        or not _has_constant_weights(graph, before)
    ):
        return False
    kernel = graph.constants[before.inputs[1]]
    if before.operator == "ConvTranspose" and before.attributes.get("group", 1) != 1:
        return False
    outputs = 0 if before.operator == "Conv" or before.attributes.get("transB", 0) else 1
    scaled = _scaled(kernel, scale.reshape([-1 if axis == outputs else 1 for axis in range(kernel.ndim)]))
    _set_weights(graph, before, scaled, _bias(graph, before, len(scale)) * scale + shift)
    before.outputs[0] = node.outputs[0]
    graph.nodes.remove(node)
    return True


def _fold_forward(graph: EditableGraph, node: EditableNode, scale: _Vector, shift: _Vector) -> bool:
    value = node.outputs[0]
    after = graph.only_user(value)
    while after is not None and after.operator in _PASSABLE and after.inputs[0] == value:
        passed = _pass_through(graph, after, scale, shift)
        if passed is None:
            return False
        scale, shift = passed
        value = after.outputs[0]
        after = graph.only_user(value)
    if after is None or after.inputs[0] != value or not _has_constant_weights(graph, after):
        return False
    kernel = graph.constants[after.inputs[1]]
    if after.operator == "Conv":
        if np.any(shift) and not _is_unpadded(after):
            return False
        groups = after.attributes.get("group", 1)
        group_of = np.repeat(np.arange(groups), kernel.shape[0] // groups)
        beyond = (1,) * (kernel.ndim - 2)
        taken, added = (each.reshape(groups, -1, *beyond)[group_of] for each in (scale, shift))
        scaled = _scaled(kernel, taken)
        extra = np.array(
            [(one.astype(np.float64) * own).sum() for one, own in zip(kernel, added, strict=True)]
        )
    elif after.operator in ("Gemm", "MatMul"):
        turned = after.attributes.get("transB", 0)
        rows = kernel.T if turned else kernel
        if len(scale) != len(rows):
            return False
        extra = after.attributes.get("alpha", 1.0) * _product(shift, rows)
        scaled = _scaled(kernel, scale if turned else scale[:, np.newaxis])
    else:
        return False
    _set_weights(graph, after, scaled, _bias(graph, after, len(extra)) + extra)
    graph.bypass(node)
    return True


_PASSABLE = {"AveragePool", "Flatten", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "Reshape"}


def _pass_through(
    graph: EditableGraph, node: EditableNode, scale: _Vector, shift: _Vector
) -> tuple[_Vector, _Vector] | None:
    """Scale and shift after an operation that they may be swapped with; None if they may not."""
    if node.operator in ("MaxPool", "GlobalMaxPool"):
        return (scale, shift) if len(node.outputs) == 1 and not np.any(scale < 0) else None
    if node.operator in ("AveragePool", "GlobalAveragePool"):
        return None if node.attributes.get("count_include_pad", 0) else (scale, shift)
    before, after = graph.shape(node.inputs[0]), graph.shape(node.outputs[0])
    if before is None or after is None or before[1] != len(scale):
        return None
    moved = regrouped(Channels(1, Layout((Segment(0, len(scale)),))), before, after)
    if moved is None or moved.axis != 1 or moved.layout.outer != 1:
        return None
    return np.repeat(scale, moved.layout.inner), np.repeat(shift, moved.layout.inner)


def _has_constant_weights(graph: EditableGraph, node: EditableNode) -> bool:
    if node.operator == "MatMul":
        return is_dense(graph, node)
    if node.operator not in ("Conv", "ConvTranspose", "Gemm") or node.inputs[1] not in graph.constants:
        return False
    if node.operator == "Gemm" and node.attributes.get("transA", 0):
        return False
    if not _has_bias(node):
        return True
    bias = graph.constants.get(node.inputs[2])
    return bias is not None and (bias.ndim < 2 or len(bias) == 1)


def _has_bias(node: EditableNode) -> bool:
    return node.operator != "MatMul" and len(node.inputs) > 2 and bool(node.inputs[2])


def _bias(graph: EditableGraph, node: EditableNode, width: int) -> _Vector:
    if not _has_bias(node):
        return np.zeros(width)
    bias = graph.constants[node.inputs[2]].astype(np.float64)
    if node.operator == "Gemm":
        bias = bias * node.attributes.get("beta", 1.0)
        return np.broadcast_to(bias, (1, width)).reshape(-1)
    return bias


def _set_weights(
    graph: EditableGraph, node: EditableNode, kernel: NDArray[np.float32], bias: _Vector
) -> None:
    kernel_name = node.inputs[1]
    graph.replace_constant(node, 1, kernel)
    if _has_bias(node):
        graph.replace_constant(node, 2, bias.astype(np.float32))
    else:
        layer = kernel_name.rpartition("/")[0] or kernel_name
        node.inputs[2:] = [graph.add_constant(f"{layer}/bias", bias.astype(np.float32))]
    if node.operator in ("Gemm", "MatMul"):
        node.operator = "Gemm"
        node.attributes["beta"] = 1.0


def _scaled(kernel: NDArray[np.float32], factors: NDArray[np.float64]) -> NDArray[np.float32]:
    """The product, computed in float64 a few elements at a time: kernels may have hundreds of megabytes."""
    out = np.empty_like(kernel)
    np.multiply(kernel, factors, out=out, dtype=np.float64, casting="same_kind")
    return out


def _product(vector: _Vector, rows: NDArray[np.float32]) -> _Vector:
    """A vector times a matrix, in float64, some rows at a time."""
    total = np.zeros(rows.shape[1])
    for start in range(0, len(rows), _ROWS):
        part = slice(start, start + _ROWS)
        total += vector[part] @ rows[part].astype(np.float64)
    return total


def _is_unpadded(node: EditableNode) -> bool:
    auto = node.attributes.get("auto_pad", "NOTSET")
    return auto == "VALID" or (auto == "NOTSET" and not any(node.attributes.get("pads", ())))
