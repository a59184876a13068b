"""Moving transpositions to channels last down the graph until they merge with a kernel."""

from __future__ import annotations

import math

import numpy as np

from toolkit.graph.channels import Shape
from toolkit.graph.editing import EditableGraph, EditableNode

_EACH_ELEMENT = {
    *("Abs", "Celu", "Elu", "Erf", "Exp", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish"),
    *("Neg", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Tanh"),
}


def sink_transpositions(graph: EditableGraph) -> None:
    """Remove transpositions to channels last if what follows can compute with channels first.

    Keras has channels last, ONNX' operators have them first. A dense layer on every pixel is a 1×1
    convolution; a dense layer on a flattened map takes its rows in another order; operations on single
    elements work in any order; and a transposition back cancels the one before it.
    """
    moving = True
    while moving:
        moving = any(_sink(graph, node) for node in list(graph.nodes) if node.operator == "Transpose")


def _sink(graph: EditableGraph, node: EditableNode) -> bool:
    """Move a transposition to channels last after the node that uses it, or into it, if possible."""
    shape = graph.shape(node.inputs[0])
    if shape is None or len(shape) < 3:
        return False
    if list(node.attributes.get("perm", ())) != [0, *range(2, len(shape)), 1]:
        return False
    user = graph.only_user(node.outputs[0])
    if user is None or user.inputs[0] != node.outputs[0]:
        return False
    if user.operator in _EACH_ELEMENT:
        user.inputs[0] = node.inputs[0]
        _transpose_after(graph, node, user, shape)
        return True
    if user.operator == "Transpose":
        return _cancel(graph, node, user)
    if user.operator == "MatMul":
        return _convolve_instead(graph, node, user, shape)
    if user.operator in ("Flatten", "Reshape"):
        return _reorder_rows(graph, node, user, shape)
    return False


def _transpose_after(graph: EditableGraph, node: EditableNode, maker: EditableNode, shape: Shape) -> None:
    """Put a transposition after a node whose own output has the given shape."""
    value = graph.unused_name(f"{maker.outputs[0]}/channels first")
    graph.set_shape(value, shape)
    node.inputs[0], node.outputs[0], maker.outputs[0] = value, maker.outputs[0], value
    graph.nodes.remove(node)
    graph.nodes.insert(graph.nodes.index(maker) + 1, node)


def _cancel(graph: EditableGraph, node: EditableNode, user: EditableNode) -> bool:
    first, second = node.attributes.get("perm", ()), user.attributes.get("perm", ())
    if [first[axis] for axis in second] != list(range(len(first))):
        return False
    user.inputs[0] = node.inputs[0]
    graph.nodes.remove(node)
    graph.bypass(user)
    return True


def _convolve_instead(graph: EditableGraph, node: EditableNode, user: EditableNode, shape: Shape) -> bool:
    kernel = graph.constants.get(user.inputs[1])
    if kernel is None or kernel.ndim != 2 or kernel.dtype != np.float32:
        return False
    inputs = [node.inputs[0], user.inputs[1]]
    ones = (1,) * (len(shape) - 2)
    last = user
    adding = graph.only_user(user.outputs[0])
    if adding is not None and adding.operator == "Add":
        name = next((name for name in adding.inputs if name in graph.constants), "")
        if name and graph.constants[name].shape == (kernel.shape[1],):
            inputs.append(name)
            last = adding
    kernel_shape = {"kernel_shape": ones or (1,)}
    made = EditableNode("Conv", inputs, [last.outputs[0]], kernel_shape, user.name, user.layer)
    graph.nodes[graph.nodes.index(last)] = made
    if last is not user:
        graph.nodes.remove(user)
    graph.replace_constant(made, 1, kernel.T.reshape(*kernel.T.shape, *ones))
    _transpose_after(graph, node, made, (shape[0], kernel.shape[1], *shape[2:]))
    return True


def _reorder_rows(graph: EditableGraph, node: EditableNode, user: EditableNode, shape: Shape) -> bool:
    flat = graph.shape(user.outputs[0])
    dense = graph.only_user(user.outputs[0])
    if flat is None or len(flat) != 2 or dense is None or dense.inputs[0] != user.outputs[0]:
        return False
    lengths = [axis for axis in shape[1:] if axis is not None]
    size = math.prod(lengths)
    if len(lengths) != len(shape) - 1 or flat[1] != size:
        return False
    if dense.operator not in ("Gemm", "MatMul") or dense.attributes.get("transA", 0):
        return False
    kernel = graph.constants.get(dense.inputs[1])
    turned = bool(dense.attributes.get("transB", 0))
    if kernel is None or kernel.ndim != 2 or kernel.shape[1 if turned else 0] != size:
        return False
    channels, *beyond = lengths
    order = np.moveaxis(np.arange(size).reshape(*beyond, channels), -1, 0).reshape(-1)
    graph.replace_constant(dense, 1, kernel[:, order] if turned else kernel[order])
    user.inputs[0] = node.inputs[0]
    graph.nodes.remove(node)
    return True
