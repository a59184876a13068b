"""Which values of a network become 8-bit integers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from toolkit.errors import UnsupportedError
from toolkit.graph.editing import EditableGraph, EditableNode
from toolkit.graph.graph import QUANTISED_OPERATORS

_KERNELS = ("Conv", "Gemm", "MatMul")
_ACTIVATIONS = ("Clip", "Relu")
_MOVES = ("Flatten", "MaxPool", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
_ARITHMETIC = ("Add", "AveragePool", "Concat", "GlobalAveragePool", "LeakyRelu", "Mul", "Sigmoid")


def refuse_quantised(graph: EditableGraph, name: str) -> None:
    """Raise UnsupportedError if the network has integer arithmetic already."""
    found = sorted({node.operator for node in graph.nodes} & QUANTISED_OPERATORS)
    if found:
        raise UnsupportedError(
            f"{name}: is quantised already ({', '.join(found)})",
            hint="export the float32 model it was made from",
        )


def convolve_normalisations(graph: EditableGraph) -> None:
    """Replace the batch normalisations of feature maps by 1×1 convolutions of each channel.

    Those that cannot be folded, after a ReLU and before a padded convolution, would be computed in
    float32 between two conversions; a convolution has an integer kernel. The function is the same.
    """
    for node in list(graph.nodes):
        shape = graph.shape(node.inputs[0])
        if node.operator != "BatchNormalization" or shape is None or len(shape) < 3:
            continue
        if not all(name in graph.constants for name in node.inputs[1:5]):
            continue
        gamma, beta, mean, variance = (graph.constants[name].astype(np.float64) for name in node.inputs[1:5])
        scale = gamma / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
        shift = beta - mean * scale
        ones = (1,) * (len(shape) - 2)
        base = node.layer or node.outputs[0]
        inputs = [
            node.inputs[0],
            graph.add_constant(f"{base}/kernel", scale.astype(np.float32).reshape(-1, 1, *ones)),
            graph.add_constant(f"{base}/bias", shift.astype(np.float32)),
        ]
        attributes = {"group": len(scale), "kernel_shape": ones}
        made = EditableNode("Conv", inputs, [node.outputs[0]], attributes, node.name, node.layer)
        graph.nodes[graph.nodes.index(node)] = made


def kernel_nodes(graph: EditableGraph) -> list[EditableNode]:
    """Convolutions and dense layers with constant weights, which have integer kernels."""
    return [node for node in graph.nodes if _has_integer_kernel(graph, node)]


def quantised_values(graph: EditableGraph) -> dict[str, str]:
    """The values to quantise, in the order of the graph, each with the value whose range it has.

    Every input of a kernel and every output of a convolution, after its ReLU; what arithmetic makes of
    such values only; and whatever these are moved or pooled from, with the same range, so that nothing
    is converted in between.
    """
    wanted = {node.inputs[0] for node in kernel_nodes(graph)}
    for node in graph.nodes:
        is_convolution = node.operator == "Conv" and _has_integer_kernel(graph, node)
        is_arithmetic = node.operator in _ARITHMETIC
        if is_convolution or (is_arithmetic and all(_follows(graph, name, wanted) for name in node.inputs)):
            wanted.add(_after_activation(graph, node.outputs[0]))
    ranges = {value: _moved_from(graph, value) for value in wanted}
    for value in wanted:
        moved = value
        while (mover := _mover(graph, moved)) is not None:
            moved = mover.inputs[0]
            ranges[moved] = _moved_from(graph, moved)
    ranges.pop(graph.output, None)
    return {value: ranges[value] for value in _in_order(graph) if value in ranges}


def _has_integer_kernel(graph: EditableGraph, node: EditableNode) -> bool:
    if node.operator not in _KERNELS or node.inputs[0] in graph.constants:
        return False
    kernel = graph.constants.get(node.inputs[1])
    if kernel is None or kernel.dtype != np.float32 or kernel.ndim < 2 or not kernel.size:
        return False
    bias = node.inputs[2] if len(node.inputs) > 2 else ""
    if bias and (bias not in graph.constants or graph.constants[bias].ndim != 1):
        return False
    if node.operator == "Gemm":
        factors = node.attributes.get("alpha", 1.0), node.attributes.get("beta", 1.0)
        return factors == (1.0, 1.0) and not node.attributes.get("transA", 0)
    return node.operator == "Conv" or kernel.ndim == 2


def _after_activation(graph: EditableGraph, value: str) -> str:
    """The value after a ReLU that alone uses it: the range of an integer does what a ReLU does."""
    user = graph.only_user(value)
    return user.outputs[0] if user is not None and user.operator in _ACTIVATIONS else value


def _mover(graph: EditableGraph, value: str) -> EditableNode | None:
    node = graph.producer(value)
    moves = node is not None and node.operator in _MOVES and len(node.outputs) == 1
    return node if moves and node is not None and node.inputs[0] not in graph.constants else None


def _moved_from(graph: EditableGraph, value: str) -> str:
    while (mover := _mover(graph, value)) is not None:
        value = mover.inputs[0]
    return value


def _follows(graph: EditableGraph, value: str, wanted: set[str]) -> bool:
    while value not in wanted:
        mover = _mover(graph, value)
        if mover is None:
            return False
        value = mover.inputs[0]
    return True


def _in_order(graph: EditableGraph) -> Iterable[str]:
    yield graph.input
    for node in graph.nodes:
        yield from node.outputs
