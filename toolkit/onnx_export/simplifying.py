"""Changes that keep every output: fewer nodes, another opset."""

from __future__ import annotations

import onnx
from onnx import helper

from toolkit.errors import UnsupportedError
from toolkit.graph.editing import EditableGraph, EditableNode
from toolkit.graph.onnx_form import first_line
from toolkit.onnx_export.transposing import sink_transpositions


def simplify(graph: EditableGraph) -> None:
    """Remove what does nothing at inference; merge biases and transpositions into other nodes."""
    for node in list(graph.nodes):
        if node.operator == "Identity" or _is_idle_dropout(graph, node):
            graph.bypass(node)
    for node in list(graph.nodes):
        if node.operator == "Transpose":
            _reshape_instead(graph, node)
    sink_transpositions(graph)
    for node in list(graph.nodes):
        if node.operator == "Add":
            _take_in_bias(graph, node)
    graph.drop_unused()


def _is_idle_dropout(graph: EditableGraph, node: EditableNode) -> bool:
    mask_is_used = any(graph.users(value) or value == graph.output for value in node.outputs[1:] if value)
    return node.operator == "Dropout" and not mask_is_used


def _reshape_instead(graph: EditableGraph, node: EditableNode) -> None:
    """Replace a transposition that moves only axes of length 1, such as that of a grey image."""
    shape, order = graph.shape(node.inputs[0]), node.attributes.get("perm")
    if shape is None or order is None or order[0] != 0 or None in shape[1:]:
        return
    moved = [axis for axis in order[1:] if shape[axis] != 1]
    if moved == sorted(moved):
        name = graph.add_constant(f"{node.outputs[0]}/shape", [0, *(shape[axis] for axis in order[1:])])
        made = EditableNode("Reshape", [node.inputs[0], name], list(node.outputs), name=node.name)
        graph.nodes[graph.nodes.index(node)] = made


def _take_in_bias(graph: EditableGraph, node: EditableNode) -> None:
    constants = [name for name in node.inputs if name in graph.constants]
    values = [name for name in node.inputs if name not in graph.constants]
    maker = graph.producer(values[0]) if values else None
    if maker is None or len(constants) != 1 or graph.only_user(values[0]) is not node:
        return
    bias = graph.constants[constants[0]]
    if maker.operator == "MatMul" and is_dense(graph, maker):
        per_channel: tuple[int, ...] = graph.constants[maker.inputs[1]].shape[1:]
    elif maker.operator == "Conv" and len(maker.inputs) == 2 and maker.inputs[1] in graph.constants:
        kernel = graph.constants[maker.inputs[1]]
        per_channel = (kernel.shape[0], *(1,) * (kernel.ndim - 2))
    else:
        return
    if bias.shape in (per_channel, (1, *per_channel)):
        flat = constants[0] if bias.ndim == 1 else graph.add_constant(f"{constants[0]}/flat", bias.ravel())
        maker.operator = "Gemm" if maker.operator == "MatMul" else "Conv"
        maker.inputs.append(flat)
        maker.outputs[0] = node.outputs[0]
        graph.nodes.remove(node)


def is_dense(graph: EditableGraph, node: EditableNode) -> bool:
    """Whether a MatMul is a dense layer: rows of one vector an image times a constant matrix."""
    kernel = graph.constants.get(node.inputs[1])
    shape = graph.shape(node.inputs[0])
    return kernel is not None and kernel.ndim == 2 and shape is not None and len(shape) == 2


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Give every node its own name; the version converter may repeat names."""
    taken: set[str] = set()
    for node in graph.node:
        if not node.name or node.name in taken:
            node.name = next(name for name in node.output if name)
        while node.name in taken:
            node.name += "_"
        taken.add(node.name)


def with_opset(model: onnx.ModelProto, opset: int, where: str) -> onnx.ModelProto:
    """The model, which may be changed, in another version of ONNX' operators."""
    present = {entry.domain: entry.version for entry in model.opset_import}
    converted = model
    if present.get("", present.get("ai.onnx", 0)) != opset:
        try:
            converted = onnx.version_converter.convert_version(model, opset)
        except (RuntimeError, ValueError, onnx.shape_inference.InferenceError) as error:
            raise UnsupportedError(
                f"{where}: cannot be written in opset {opset}: {first_line(error)}",
                hint="choose another one with -o opset=N",
            ) from error
    _name_nodes(converted.graph)
    del converted.graph.value_info[:]
    opsets = [entry for entry in converted.opset_import if entry.domain in ("", "ai.onnx.ml")]
    converted.ir_version = max(helper.find_min_ir_version_for(opsets, ignore_unknown=True), 7)
    return converted
