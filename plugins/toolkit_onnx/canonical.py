"""Graphs of many exporters in one form: one float input with a batch axis, one output of scores."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from toolkit.errors import UnreadableInputError, UnsupportedError
from toolkit_onnx.without_weights import without_weights

BATCH_AXIS = "batch"
_TRIED_BATCHES = (5, 7)
_FREE_INITIALIZERS = 4  # the first version of the format in which an initializer need not be an input too


def canonical(model: onnx.ModelProto, where: str) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """A copy in which constants are initializers, and one input and one output have a ``batch`` axis.

    A fixed batch size is made variable, and so are shapes that repeat it.

    Args:
        model: Checked.
        where: Of which file, for messages.

    Returns:
        The copy, and what was left out.

    Raises:
        UnsupportedError: If it has several inputs, no single output of scores, inputs that are not
            float32 of a fixed size, or a batch size that cannot be made variable.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    dropped = _drop_training(copy)
    _lift_constants(copy.graph)
    _see_through_identities(copy.graph)
    _single_input(copy, where)
    dropped += _single_output(copy.graph, where)
    _free_batch(copy, where)
    return copy, dropped


def _drop_training(model: onnx.ModelProto) -> tuple[str, ...]:
    if not model.training_info:
        return ()
    del model.training_info[:]
    return ("training information",)


def _lift_constants(graph: onnx.GraphProto) -> None:
    for node in list(graph.node):
        value = _constant(node) if node.op_type == "Constant" else None
        if value is not None:
            value.name = node.output[0]
            graph.initializer.append(value)
            graph.node.remove(node)


def _constant(node: NodeProto) -> TensorProto | None:
    attribute = node.attribute[0]
    if attribute.name == "value":
        value = TensorProto()
        value.CopyFrom(attribute.t)
        return value
    plain = {
        "value_float": (attribute.f, np.float32),
        "value_floats": (attribute.floats, np.float32),
        "value_int": (attribute.i, np.int64),
        "value_ints": (attribute.ints, np.int64),
    }.get(attribute.name)
    return None if plain is None else numpy_helper.from_array(np.asarray(*plain))


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
    kept = onnx.ValueInfoProto()
    kept.CopyFrom(inputs[0])
    del graph.input[:]
    graph.input.append(kept)
    model.ir_version = max(model.ir_version, _FREE_INITIALIZERS)
    if kept.type.tensor_type.elem_type != TensorProto.FLOAT:
        kind = TensorProto.DataType.Name(kept.type.tensor_type.elem_type)
        raise UnsupportedError(
            f"{where}: input {kept.name!r} is of type {kind}",
            hint="inputs of type FLOAT (float32) are supported",
        )
    axes = kept.type.tensor_type.shape.dim
    if len(axes) < 2 or any(axis.dim_value <= 0 for axis in axes[1:]):
        shape = [axis.dim_param or axis.dim_value or "?" for axis in axes]
        raise UnsupportedError(
            f"{where}: input {kept.name!r} has the shape {shape}",
            hint="a batch axis and then axes of fixed length are supported",
        )


def _single_output(graph: onnx.GraphProto, where: str) -> tuple[str, ...]:
    if len(graph.output) == 1:
        chosen = graph.output[0]
    else:
        scores = [
            value
            for value in graph.output
            if value.type.tensor_type.elem_type == TensorProto.FLOAT
            and len(value.type.tensor_type.shape.dim) == 2
        ]
        if len(scores) != 1:
            names = ", ".join(repr(value.name) for value in graph.output)
            raise UnsupportedError(
                f"{where}: {len(graph.output)} outputs ({names})",
                hint="networks with one output of one float32 number a class are supported",
            )
        (chosen,) = scores
    if chosen.type.tensor_type.elem_type != TensorProto.FLOAT:
        kind = TensorProto.DataType.Name(chosen.type.tensor_type.elem_type)
        raise UnsupportedError(
            f"{where}: output {chosen.name!r} is of type {kind}",
            hint="outputs of type FLOAT (float32) are supported",
        )
    dropped = tuple(f"output {value.name}" for value in graph.output if value.name != chosen.name)
    kept = onnx.ValueInfoProto()
    kept.CopyFrom(chosen)
    del graph.output[:]
    graph.output.append(kept)
    return dropped


def _free_batch(model: onnx.ModelProto, where: str) -> None:
    """Name the batch axis; check with the shapes that follow that the output has it too."""
    graph = model.graph
    first = graph.input[0].type.tensor_type.shape.dim[0]
    fixed = first.dim_value if first.HasField("dim_value") else None
    if fixed is not None:
        _free_reshapes(graph, fixed)
    first.Clear()
    first.dim_param = BATCH_AXIS
    declared = [axis.dim_value for axis in graph.output[0].type.tensor_type.shape.dim]
    shape = _output_shape(model, where)
    if fixed is not None and shape[:1] != [BATCH_AXIS] and not _follows_any_batch(model, where):
        raise UnsupportedError(
            f"{where}: takes exactly {fixed} image{'s' if fixed != 1 else ''} at a time",
            hint="export it with a dynamic batch axis",
        )
    axes: list[int | str] = []
    for place in range(1, max(len(shape), len(declared))):
        found = shape[place] if place < len(shape) else None
        length = found if isinstance(found, int) else declared[place] if place < len(declared) else 0
        if not length or length < 0:
            raise UnsupportedError(
                f"{where}: the length of output {graph.output[0].name!r} does not follow from the graph",
                hint="export it with its output's shape",
            )
        axes.append(length)
    if not axes:
        raise UnsupportedError(
            f"{where}: output {graph.output[0].name!r} has no axis for classes",
            hint="networks with one output of one float32 number a class are supported",
        )
    output = helper.make_tensor_value_info(graph.output[0].name, TensorProto.FLOAT, [BATCH_AXIS, *axes])
    graph.output[0].CopyFrom(output)
    del graph.value_info[:]


def _free_reshapes(graph: onnx.GraphProto, batch: int) -> None:
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type != "Reshape" or node.input[1] not in constants or _attribute(node, "allowzero"):
            continue
        target = numpy_helper.to_array(constants[node.input[1]])
        if target.ndim == 1 and target.size > 1 and target[0] == batch:
            freed = target.copy()
            freed[0] = 0  # as long as the input
            name = f"{node.input[1]}/any batch"
            if name not in constants:
                constants[name] = numpy_helper.from_array(freed, name)
                graph.initializer.append(constants[name])
            node.input[1] = name


def _attribute(node: NodeProto, name: str) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == name), 0)


def _follows_any_batch(model: onnx.ModelProto, where: str) -> bool:
    """Whether the output is as long as the input: a -1 in a reshape is known only once the batch size is."""
    return all(_output_shape(model, where, batch)[:1] == [batch] for batch in _TRIED_BATCHES)


def _output_shape(model: onnx.ModelProto, where: str, batch: int | None = None) -> list[int | str | None]:
    """The output's axes as they follow from the graph, for a batch of any size or of a given one."""
    bare = without_weights(model)
    if batch is not None:
        bare.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    del bare.graph.value_info[:]
    bare.graph.output[0].type.tensor_type.ClearField("shape")
    try:
        inferred = onnx.shape_inference.infer_shapes(bare, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError) as error:
        raise UnreadableInputError(f"{where}: its shapes contradict each other") from error
    return [
        axis.dim_value if axis.HasField("dim_value") else axis.dim_param or None
        for axis in inferred.graph.output[0].type.tensor_type.shape.dim
    ]
