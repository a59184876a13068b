"""Transpositions to channels last pushed down the graph until a kernel takes them up."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto, helper

from toolkit_onnx.editing import EditableGraph, attribute

_EACH_ELEMENT = frozenset(
    {
        "Abs",
        "Celu",
        "Elu",
        "Erf",
        "Exp",
        "HardSigmoid",
        "HardSwish",
        "LeakyRelu",
        "Mish",
        "Neg",
        "Relu",
        "Selu",
        "Sigmoid",
        "Softplus",
        "Softsign",
        "Tanh",
    }
)


def sink_transpositions(graph: EditableGraph) -> None:
    """Do without transpositions to channels last, where what follows can work channels first.

    Keras lays channels last, ONNX' operators lay them first. A dense layer on every pixel is a 1×1
    convolution; a dense layer on a flattened map takes its rows in another order; whatever works on
    single elements does not care; and a transposition back undoes the one before it.
    """
    moving = True
    while moving:
        moving = any(_sink(graph, node) for node in list(graph.nodes) if _is_to_channels_last(graph, node))


def _is_to_channels_last(graph: EditableGraph, node: NodeProto) -> bool:
    shape = graph.shape(node.input[0])
    if node.op_type != "Transpose" or shape is None or len(shape) < 3:
        return False
    return list(attribute(node, "perm", ())) == [0, *range(2, len(shape)), 1]


def _sink(graph: EditableGraph, node: NodeProto) -> bool:
    """Move a transposition behind what uses it, or into it; whether that could be done."""
    user = graph.only_user(node.output[0])
    if user is None or user.input[0] != node.output[0]:
        return False
    if user.op_type in _EACH_ELEMENT:
        _swap(graph, node, user)
        return True
    if user.op_type == "Transpose":
        return _cancel(graph, node, user)
    if user.op_type == "MatMul":
        return _convolve_instead(graph, node, user)
    if user.op_type in ("Flatten", "Reshape"):
        return _reorder_rows(graph, node, user)
    return False


def _swap(graph: EditableGraph, node: NodeProto, user: NodeProto) -> None:
    shape = graph.shape(node.input[0])
    assert shape is not None
    user.input[0] = node.input[0]
    _transpose_behind(graph, node, user, shape)


def _transpose_behind(
    graph: EditableGraph, node: NodeProto, maker: NodeProto, shape: tuple[int | None, ...]
) -> None:
    """Put a transposition behind the node whose output, as it is now, has the given shape."""
    value = graph.unused_name(f"{maker.output[0]}/channels first")
    graph.set_shape(value, shape)
    node.input[0] = value
    node.output[0] = maker.output[0]
    maker.output[0] = value
    graph.remove(node)
    graph.nodes.insert(graph.place(maker) + 1, node)


def _cancel(graph: EditableGraph, node: NodeProto, user: NodeProto) -> bool:
    first, second = attribute(node, "perm", ()), attribute(user, "perm", ())
    if [first[axis] for axis in second] != list(range(len(first))):
        return False
    user.input[0] = node.input[0]
    graph.remove(node)
    graph.bypass(user)
    return True


def _convolve_instead(graph: EditableGraph, node: NodeProto, user: NodeProto) -> bool:
    kernel = graph.constants.get(user.input[1])
    shape = graph.shape(node.input[0])
    if kernel is None or kernel.ndim != 2 or kernel.dtype != np.float32 or shape is None:
        return False
    inputs = [node.input[0], user.input[1]]
    ones = (1,) * (len(shape) - 2)
    last = user
    adding = graph.only_user(user.output[0])
    if adding is not None and adding.op_type == "Add":
        name = next((name for name in adding.input if name in graph.constants), "")
        if name and graph.constants[name].shape == (kernel.shape[1],):
            inputs.append(name)
            last = adding
    made = helper.make_node("Conv", inputs, [last.output[0]], name=user.name, kernel_shape=list(ones) or [1])
    graph.nodes[graph.place(last)] = made
    if last is not user:
        graph.remove(user)
    graph.replace_constant(made, 1, kernel.T.reshape(*kernel.T.shape, *ones))
    _transpose_behind(graph, node, made, (shape[0], kernel.shape[1], *shape[2:]))
    return True


def _reorder_rows(graph: EditableGraph, node: NodeProto, user: NodeProto) -> bool:
    shape, flat = graph.shape(node.input[0]), graph.shape(user.output[0])
    dense = graph.only_user(user.output[0])
    if shape is None or flat is None or len(flat) != 2 or dense is None or dense.input[0] != user.output[0]:
        return False
    lengths = [axis for axis in shape[1:] if axis is not None]
    size = int(np.prod(lengths))
    if len(lengths) != len(shape) - 1 or flat[1] != size:
        return False
    if dense.op_type not in ("Gemm", "MatMul") or attribute(dense, "transA", 0):
        return False
    kernel = graph.constants.get(dense.input[1])
    turned = bool(attribute(dense, "transB", 0))
    if kernel is None or kernel.ndim != 2 or kernel.shape[1 if turned else 0] != size:
        return False
    channels, *beyond = lengths
    order = np.moveaxis(np.arange(size).reshape(*beyond, channels), -1, 0).reshape(-1)
    graph.replace_constant(dense, 1, kernel[:, order] if turned else kernel[order])
    user.input[0] = node.input[0]
    graph.remove(node)
    return True
