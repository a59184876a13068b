"""Graphs of many exporters in one form: one float input with a batch axis, one output of scores."""

from __future__ import annotations

from collections.abc import MutableSequence
from itertools import compress, zip_longest

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from toolkit.errors import UnsupportedError
from toolkit.graph.onnx_form import BATCH_AXIS
from toolkit_onnx.limits import shapes

_TRIED_BATCHES = (5, 7)
_FREE_INITIALIZERS = 4  # the first version of the format in which an initializer need not be an input too
_SCORES = "networks with one output of one float32 number a class are supported"
_PLAIN_CONSTANTS = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def canonical(model: onnx.ModelProto, where: str) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """A copy in which constants are initializers, and one input and one output have a ``batch`` axis.

    A fixed batch size is made variable, and so are shapes that repeat it.

    Returns the copy, and what was left out.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    dropped = ("training information",) if copy.training_info else ()
    copy.ClearField("training_info")
    _lift_constants(copy.graph)
    _see_through_identities(copy.graph)
    _single_input(copy, where)
    left_out = _single_output(copy.graph, where)
    _free_batch(copy, where)
    return copy, (*dropped, *left_out)


def _lift_constants(graph: onnx.GraphProto) -> None:
    for node in [node for node in graph.node if node.op_type == "Constant"]:
        attribute = node.attribute[0]
        if attribute.name in _PLAIN_CONSTANTS:
            value = np.asarray(helper.get_attribute_value(attribute), _PLAIN_CONSTANTS[attribute.name])
            constant = numpy_helper.from_array(value)
        elif attribute.name == "value":
            constant = attribute.t
        else:
            continue
        constant.name = node.output[0]
        graph.initializer.append(constant)
        graph.node.remove(node)


def _see_through_identities(graph: onnx.GraphProto) -> None:
    """PyTorch shares equal weights through Identity nodes on an initializer."""
    constants = {tensor.name for tensor in graph.initializer}
    outputs = {value.name for value in graph.output}
    stands_for: dict[str, str] = {}
    for node in list(graph.node):
        for place, name in enumerate(node.input):
            node.input[place] = stands_for.get(name, name)
        if node.op_type == "Identity" and node.input[0] in constants and node.output[0] not in outputs:
            stands_for[node.output[0]] = node.input[0]
            graph.node.remove(node)


def _single_input(model: onnx.ModelProto, where: str) -> None:
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(repr(value.name) for value in inputs) or "none"
        raise UnsupportedError(
            f"{where}: {len(inputs)} inputs ({names})", hint="networks with exactly one input are supported"
        )
    kept = _keep_only(graph.input, inputs[0])
    model.ir_version = max(model.ir_version, _FREE_INITIALIZERS)
    _require_float(kept, "input", where)
    axes = kept.type.tensor_type.shape.dim
    if len(axes) < 2 or any(axis.dim_value <= 0 for axis in axes[1:]):
        shape = [axis.dim_param or axis.dim_value or "?" for axis in axes]
        raise UnsupportedError(
            f"{where}: input {kept.name!r} has the shape {shape}",
            hint="a batch axis and then axes of fixed length are supported",
        )


def _single_output(graph: onnx.GraphProto, where: str) -> list[str]:
    """Keep the one output of scores; returns the others."""
    outputs = list(graph.output)
    if len(outputs) > 1:
        types = [value.type.tensor_type for value in outputs]
        is_scores = [kind.elem_type == TensorProto.FLOAT and len(kind.shape.dim) == 2 for kind in types]
        outputs = list(compress(outputs, is_scores))
    if len(outputs) != 1:
        names = ", ".join(repr(value.name) for value in graph.output)
        raise UnsupportedError(f"{where}: {len(graph.output)} outputs ({names})", hint=_SCORES)
    others = [f"output {value.name}" for value in graph.output if value.name != outputs[0].name]
    _require_float(_keep_only(graph.output, outputs[0]), "output", where)
    return others


def _keep_only(values: MutableSequence[ValueInfoProto], kept: ValueInfoProto) -> ValueInfoProto:
    copy = ValueInfoProto()
    copy.CopyFrom(kept)
    del values[:]
    values.append(copy)
    return values[0]


def _require_float(value: ValueInfoProto, kind: str, where: str) -> None:
    element = value.type.tensor_type.elem_type
    if element != TensorProto.FLOAT:
        raise UnsupportedError(
            f"{where}: {kind} {value.name!r} is of type {TensorProto.DataType.Name(element)}",
            hint=f"{kind}s of type FLOAT (float32) are supported",
        )


def _free_batch(model: onnx.ModelProto, where: str) -> None:
    """Name the batch axis; check with the shapes that follow that the output has it too."""
    graph = model.graph
    output = graph.output[0]
    first = graph.input[0].type.tensor_type.shape.dim[0]
    fixed = first.dim_value if first.HasField("dim_value") else None
    if fixed is not None:
        _free_reshapes(graph, fixed)
    first.dim_param = BATCH_AXIS
    inferred = shapes(model, where).get(output.name, ())
    if fixed is not None and inferred[:1] != (BATCH_AXIS,) and not _follows_any_batch(model, where):
        raise UnsupportedError(
            f"{where}: takes exactly {fixed} image{'s' if fixed != 1 else ''} at a time",
            hint="export it with a dynamic batch axis",
        )
    declared = [axis.dim_value for axis in output.type.tensor_type.shape.dim]
    axes = [
        axis if isinstance(axis, int) else length or 0
        for axis, length in zip_longest(inferred[1:], declared[1:])
    ]
    if any(axis <= 0 for axis in axes):
        raise UnsupportedError(
            f"{where}: the length of output {output.name!r} does not follow from the graph",
            hint="export it with its output's shape",
        )
    if not axes:
        raise UnsupportedError(f"{where}: output {output.name!r} has no axis for classes", hint=_SCORES)
    output.CopyFrom(helper.make_tensor_value_info(output.name, TensorProto.FLOAT, [BATCH_AXIS, *axes]))
    del graph.value_info[:]


def _free_reshapes(graph: onnx.GraphProto, batch: int) -> None:
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type != "Reshape" or node.input[1] not in constants or _allows_zero(node):
            continue
        target = numpy_helper.to_array(constants[node.input[1]])
        if target.ndim == 1 and target.size > 1 and target[0] == batch:
            name = f"{node.input[1]}/any batch"
            if name not in constants:
                freed = np.concatenate([[0], target[1:]])  # 0: as long as the input
                constants[name] = numpy_helper.from_array(freed, name)
                graph.initializer.append(constants[name])
            node.input[1] = name


def _allows_zero(node: NodeProto) -> bool:
    return any(attribute.name == "allowzero" and attribute.i for attribute in node.attribute)


def _follows_any_batch(model: onnx.ModelProto, where: str) -> bool:
    """Whether the output is as long as the input: a -1 in a reshape is known only once the batch size is."""
    output = model.graph.output[0].name
    return all(shapes(model, where, batch).get(output, ())[:1] == (batch,) for batch in _TRIED_BATCHES)
