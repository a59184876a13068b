"""Pixels in, predictions out: what a graph needs to take pictures and to give its five best classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from toolkit.graph import ancestors, unused_name
from toolkit.graph.onnx_form import BATCH_AXIS, from_node, value_shapes
from toolkit.onnx_export.metadata import PREPROCESSED, read_property
from toolkit.vocabulary import Convention

PICTURE = (28, 28)
LOGITS, LABEL, TOP_VALUES, TOP_INDICES = "logits", "label", "top5_values", "top5_indices"
TOP = 5


class Conversion(NamedTuple):
    """Nodes in order, and their constants."""

    nodes: list[NodeProto]
    constants: list[TensorProto]


def conversion(
    source: str,
    target: str,
    convention: Convention,
    input_shape: tuple[int, ...],
    *,
    pixels: Literal["bytes", "unit"],
    prefix: str = "preprocessing",
) -> Conversion:
    """Nodes that turn upright pictures with light ink into a network's input, as ``apply_convention`` does.

    For opset 13 and later.

    Args:
        source: Value with 28×28 pixels an image, whatever the shape: uint8 (``bytes``), or float32 from
            0 to 1 (``unit``).
        target: The value to make, (batch, *input_shape) float32.
        prefix: Before the names of nodes, values and constants.
    """
    nodes: list[NodeProto] = []
    constants: list[TensorProto] = []
    value = source

    def add(operator: str, *inputs: str, **attributes: Any) -> None:
        nonlocal value
        name = f"{prefix}/{operator.lower()}_{len(nodes)}"
        nodes.append(helper.make_node(operator, [*inputs], [name], name=name, **attributes))
        value = name

    def constant(array: NDArray[np.generic]) -> str:
        name = f"{prefix}/constant_{len(constants)}"
        constants.append(numpy_helper.from_array(array, name))
        return name

    def number(value: float) -> str:
        return constant(np.array(value, np.float32))

    if pixels == "bytes":
        add("Cast", value, to=TensorProto.FLOAT)
    if convention.orientation == "transposed":
        add("Reshape", value, constant(np.array([0, *PICTURE], np.int64)))
        add("Transpose", value, perm=[0, 2, 1])
    if convention.ink == "dark":
        add("Sub", number(255.0 if pixels == "bytes" else 1.0), value)
    if convention.scale == "raw" and pixels == "unit":
        add("Mul", value, number(255.0))
    if convention.scale != "raw" and pixels == "bytes":
        add("Div", value, number(255.0))
    if convention.scale == "standard":
        add("Sub", value, number(convention.mean))
        add("Div", value, number(convention.deviation))
    add("Reshape", value, constant(np.array([0, *input_shape], np.int64)))
    nodes[-1].output[0] = target
    return Conversion(nodes, constants)


def take_pictures(
    model: onnx.ModelProto,
    convention: Convention,
    input_shape: tuple[int, ...],
    classes: int,
    logits: str | None,
) -> str:
    """Change an exported model: uint8 pictures in; logits, probabilities, label and five best classes out.

    Returns the name of the network's own input.

    Args:
        model: With one float32 input and one output of probabilities; further inputs stay.
        logits: The value with the logits, if there is one.
    """
    graph = model.graph
    image, probabilities = graph.input[0], graph.output[0]
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    inner = unused_name(PREPROCESSED, taken)
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == image.name:
                node.input[place] = inner
    front = conversion(image.name, inner, convention, input_shape, pixels="bytes")
    nodes = [*front.nodes, *graph.node, *_best(probabilities.name, logits)]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(front.constants)
    graph.initializer.append(numpy_helper.from_array(np.array([min(TOP, classes)], np.int64), "top5_count"))
    image.CopyFrom(helper.make_tensor_value_info(image.name, TensorProto.UINT8, [BATCH_AXIS, *PICTURE]))
    outputs = list(_outputs(probabilities, classes, has_logits=logits is not None))
    del graph.output[:]
    graph.output.extend(outputs)
    return inner


def _best(probabilities: str, logits: str | None) -> Iterator[NodeProto]:
    if logits is not None and logits != LOGITS:
        yield helper.make_node("Identity", [logits], [LOGITS], name=LOGITS)
    yield helper.make_node("ArgMax", [probabilities], [LABEL], name=LABEL, axis=1, keepdims=0)
    yield helper.make_node(
        "TopK", [probabilities, "top5_count"], [TOP_VALUES, TOP_INDICES], name="top5", axis=1
    )


def _outputs(
    probabilities: onnx.ValueInfoProto, classes: int, *, has_logits: bool
) -> Iterator[onnx.ValueInfoProto]:
    best: list[str | int | None] = [BATCH_AXIS, min(TOP, classes)]
    yield probabilities
    if has_logits:
        yield helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, [BATCH_AXIS, classes])
    yield helper.make_tensor_value_info(LABEL, TensorProto.INT64, [BATCH_AXIS])
    yield helper.make_tensor_value_info(TOP_VALUES, TensorProto.FLOAT, best)
    yield helper.make_tensor_value_info(TOP_INDICES, TensorProto.INT64, best)


def without_preprocessing(model: onnx.ModelProto) -> None:
    """Change a file that takes pictures back to the network in it; leaves any other file as it is."""
    stated = read_property(model, PREPROCESSED)
    graph = model.graph
    if not stated or len(graph.input) != 1 or not graph.output:
        return
    axes = value_shapes(model).get(stated)
    if axes is None or len(axes) < 2 or stated == graph.input[0].name:
        return
    nodes = [from_node(node) for node in graph.node]
    kept = {node.outputs[0] for node in ancestors(nodes, [graph.output[0].name], [stated])}
    remaining = [node for node in graph.node if node.output[0] in kept]
    used = {name for node in remaining for name in node.input}
    if stated not in used or graph.input[0].name in used:
        return
    constants = [tensor for tensor in graph.initializer if tensor.name in used]
    graph.input[0].CopyFrom(helper.make_tensor_value_info(stated, TensorProto.FLOAT, [BATCH_AXIS, *axes[1:]]))
    for field, values in (("node", remaining), ("initializer", constants), ("output", [graph.output[0]])):
        copies = [type(value).FromString(value.SerializeToString()) for value in values]
        graph.ClearField(field)
        getattr(graph, field).extend(copies)
