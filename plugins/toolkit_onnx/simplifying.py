"""Changes that leave every output as it was: fewer nodes, the promised names."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper

from toolkit.errors import UnsupportedError
from toolkit_onnx.editing import EditableGraph, attribute
from toolkit_onnx.transposing import sink_transpositions

INPUT = "image"
OUTPUT = "probabilities"
BATCH_AXIS = "batch"


def simplify(graph: EditableGraph) -> None:
    """Remove what does nothing at inference; put biases and transpositions into their neighbours."""
    for node in list(graph.nodes):
        if node.op_type == "Identity" or _is_idle_dropout(graph, node):
            graph.bypass(node)
    for node in list(graph.nodes):
        if node.op_type == "Transpose" and not _moves_anything(graph, node):
            _reshape_instead(graph, node)
    sink_transpositions(graph)
    for node in list(graph.nodes):
        if node.op_type == "Add":
            _take_in_bias(graph, node)
    graph.drop_unused()


def _is_idle_dropout(graph: EditableGraph, node: NodeProto) -> bool:
    mask_is_used = any(graph.users(value) or value in graph.outputs for value in node.output[1:] if value)
    return node.op_type == "Dropout" and not mask_is_used


def _moves_anything(graph: EditableGraph, node: NodeProto) -> bool:
    shape = graph.shape(node.input[0])
    order = attribute(node, "perm", None)
    if shape is None or order is None or order[0] != 0 or None in shape[1:]:
        return True
    moved = [axis for axis in order[1:] if shape[axis] != 1]
    return moved != sorted(moved)


def _reshape_instead(graph: EditableGraph, node: NodeProto) -> None:
    """A transposition that moves only axes of length 1, such as that of a grey picture."""
    shape = graph.shape(node.input[0])
    assert shape is not None
    target = [0, *(shape[axis] for axis in attribute(node, "perm", None)[1:])]
    name = graph.unused_name(f"{node.output[0]}/shape")
    graph.constants[name] = np.asarray(target, np.int64)
    made = helper.make_node("Reshape", [node.input[0], name], list(node.output), name=node.name)
    graph.nodes[graph.place(node)] = made


def _take_in_bias(graph: EditableGraph, node: NodeProto) -> None:
    constants = [place for place in (0, 1) if node.input[place] in graph.constants]
    if len(constants) != 1:
        return
    value = node.input[1 - constants[0]]
    maker = graph.maker(value)
    if maker is None or graph.only_user(value) is not node:
        return
    name = node.input[constants[0]]
    bias = graph.constants[name]
    if maker.op_type == "MatMul" and is_dense(graph, maker):
        width = graph.constants[maker.input[1]].shape[1]
        if bias.shape in ((width,), (1, width)):
            if bias.ndim == 2:
                name = graph.unused_name(f"{name}/flat")
                graph.constants[name] = bias.reshape(-1)
            maker.op_type = "Gemm"
            maker.input.append(name)
            maker.output[0] = node.output[0]
            graph.remove(node)
    elif maker.op_type == "Conv" and len(maker.input) == 2 and maker.input[1] in graph.constants:
        kernel = graph.constants[maker.input[1]]
        per_channel = (kernel.shape[0], *(1,) * (kernel.ndim - 2))
        if bias.shape in (per_channel, (1, *per_channel)):
            flat = graph.unused_name(f"{name}/flat")
            graph.constants[flat] = bias.reshape(-1)
            maker.input.append(flat)
            maker.output[0] = node.output[0]
            graph.remove(node)


def is_dense(graph: EditableGraph, node: NodeProto) -> bool:
    """Whether a MatMul is a dense layer: rows of one vector an image times a constant matrix."""
    kernel = graph.constants.get(node.input[1])
    shape = graph.shape(node.input[0])
    return kernel is not None and kernel.ndim == 2 and shape is not None and len(shape) == 2


def end_in_softmax(graph: EditableGraph, *, already: bool) -> None:
    """Make the output probabilities."""
    if already:
        return
    (logits,) = graph.outputs
    value = graph.unused_name(OUTPUT if logits != OUTPUT else f"{OUTPUT}/normalised")
    graph.nodes.append(helper.make_node("Softmax", [logits], [value], axis=1))
    graph.outputs = [value]


def keep_promises(graph: EditableGraph, input_shape: tuple[int, ...], classes: int) -> onnx.ModelProto:
    """The finished model with input ``image`` and output ``probabilities``, both (``batch``, …) float32.

    Every node is named; values and constants keep their names unless the promised ones are taken.
    """
    (output,) = graph.outputs
    model = graph.finished()
    renamed = {model.graph.input[0].name: INPUT, output: OUTPUT}
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
    for name in (INPUT, OUTPUT):
        if name in taken and name not in renamed:
            renamed[name] = graph.unused_name(f"{name}/inner")
    rename_values(model, renamed)
    del model.graph.input[:], model.graph.output[:]
    model.graph.input.append(
        helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [BATCH_AXIS, *input_shape])
    )
    model.graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [BATCH_AXIS, classes]))
    for node in model.graph.node:
        node.name = node.name or node.output[0]
    model.graph.name = "network"
    return model


def rename_values(model: onnx.ModelProto, renamed: dict[str, str]) -> None:
    """Give values and constants other names."""
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
        for place, name in enumerate(node.output):
            node.output[place] = renamed.get(name, name)
    for tensor in model.graph.initializer:
        tensor.name = renamed.get(tensor.name, tensor.name)


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Name every node once; what the version converter inserts may bear the name of what it stands for."""
    taken: set[str] = set()
    for node in graph.node:
        if not node.name or node.name in taken:
            node.name = next(name for name in node.output if name)
        while node.name in taken:
            node.name += "_"
        taken.add(node.name)


def with_opset(model: onnx.ModelProto, opset: int, where: str) -> onnx.ModelProto:
    """The model in another version of ONNX' operators.

    Raises:
        UnsupportedError: If some operator cannot be put that way.
    """
    present = {entry.domain: entry.version for entry in model.opset_import}
    converted = model
    if present.get("", present.get("ai.onnx", 0)) != opset:
        try:
            converted = onnx.version_converter.convert_version(model, opset)
        except (RuntimeError, ValueError, onnx.shape_inference.InferenceError) as error:
            raise UnsupportedError(
                f"{where}: cannot be written in opset {opset}: {str(error).strip().splitlines()[0]}",
                hint="choose another one with -o opset=N",
            ) from error
    result = onnx.ModelProto()
    result.CopyFrom(converted)
    _name_nodes(result.graph)
    del result.graph.value_info[:]
    opsets = [entry for entry in result.opset_import if entry.domain in ("", "ai.onnx.ml")]
    result.ir_version = max(helper.find_min_ir_version_for(opsets, ignore_unknown=True), 7)
    return result
