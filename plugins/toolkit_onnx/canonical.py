"""Graphs of many exporters in one form: one float input with a batch axis, one output of scores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import compress, zip_longest

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from toolkit.errors import UnsupportedError
from toolkit.graph import Graph, Node, Rearrangement
from toolkit.graph.onnx_form import BATCH_AXIS, from_node, from_onnx, model_of
from toolkit_onnx.checking import DOMAINS, shapes
from toolkit_onnx.moved_weights import moved_weights
from toolkit_onnx.precision import read_as_float32
from toolkit_onnx.settled_shapes import Shapes, settled_reshapes

_TRIED_BATCHES = (5, 7)
_SMALL = 1 << 10  # elements; constants that shapes are computed from are shorter
_FREE_INITIALIZERS = 4  # the first version of the format in which an initializer need not be an input too
_SCORES = "networks with one output of one float32 number a class are supported"
_DOMAINS = {domain: domain.removesuffix("ai.onnx") for domain in DOMAINS}  # two names for ONNX's own
_PLAIN_CONSTANTS = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}

Initializers = dict[str, TensorProto]


def canonical(
    model: onnx.ModelProto, where: str
) -> tuple[Graph, Initializers, dict[str, Rearrangement], tuple[str, ...]]:
    """The graph with one input and one output that have a ``batch`` axis, constants as initializers.

    A fixed batch size is made variable, and so are shapes that repeat it.

    Returns the graph without constants and bindings, its initializers, how they are moved before they are
    used, and what was left out.
    """
    lost = read_as_float32(model)
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = list(_without_constants(model.graph, initializers))
    image, scores = _single_input(model.graph, initializers, where), _single_output(model.graph, where)
    dropped = ["training information"] if model.training_info else []
    dropped += lost
    dropped += [f"output {value.name}" for value in model.graph.output if value.name != scores.name]
    batch = image.type.tensor_type.shape.dim[0]
    fixed = batch.dim_value if batch.HasField("dim_value") else None
    used = {name for node in nodes for name in node.inputs}
    if fixed is not None:
        nodes = [_freed(node, initializers, fixed) for node in nodes]
        used |= {name for node in nodes for name in node.inputs}
    graph = replace(
        from_onnx(model, nodes, (image, scores)),
        opsets={
            _DOMAINS[entry.domain]: entry.version for entry in model.opset_import if entry.domain in _DOMAINS
        },
        ir_version=max(model.ir_version, _FREE_INITIALIZERS),
    )

    def without_weights(nodes: Sequence[Node]) -> onnx.ModelProto:
        declared = map(_declared, initializers.values())
        return model_of(graph, nodes, {image.name: graph.input_shape}, [scores], declared)

    def infer(nodes: Sequence[Node]) -> Mapping[int, Shapes]:
        return {batch: shapes(without_weights(nodes), where, batch) for batch in _TRIED_BATCHES}

    shape = _output_shape(without_weights(graph.nodes), fixed, where)
    settled = settled_reshapes(graph.nodes, initializers, graph.output, infer)
    kept, moved = moved_weights(settled, initializers, graph.output)
    for name in (used - {name for node in kept for name in node.inputs}) & initializers.keys():
        del initializers[name]  # was a part of what is given in another way now
    return replace(graph, nodes=kept, output_shape=shape), initializers, moved, tuple(dropped)


def _declared(tensor: TensorProto) -> TensorProto:
    """A large tensor without its numbers, from which no shape is computed."""
    if math.prod(tensor.dims) <= _SMALL:
        return tensor
    return TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)


def _without_constants(graph: onnx.GraphProto, initializers: Initializers) -> Iterator[Node]:
    """The nodes without constants, and without identities of them: PyTorch shares equal weights so."""
    outputs = {value.name for value in graph.output}
    stands_for: dict[str, str] = {}
    for proto in graph.node:
        constant = _constant(proto) if proto.op_type == "Constant" else None
        if constant is not None:
            constant.name = proto.output[0]
            initializers[constant.name] = constant
            continue
        node = from_node(proto)
        node = replace(node, inputs=tuple(stands_for.get(name, name) for name in node.inputs))
        is_shared = node.operator == "Identity" and node.inputs[0] in initializers
        if is_shared and node.outputs[0] not in outputs:
            stands_for[node.outputs[0]] = node.inputs[0]
        else:
            yield node


def _constant(node: NodeProto) -> TensorProto | None:
    attribute = node.attribute[0]
    if attribute.name in _PLAIN_CONSTANTS:
        value = np.asarray(helper.get_attribute_value(attribute), _PLAIN_CONSTANTS[attribute.name])
        return numpy_helper.from_array(value)
    return attribute.t if attribute.name == "value" else None


def _single_input(graph: onnx.GraphProto, initializers: Initializers, where: str) -> ValueInfoProto:
    inputs: list[ValueInfoProto] = [value for value in graph.input if value.name not in initializers]
    if len(inputs) != 1:
        names = ", ".join(repr(value.name) for value in inputs) or "none"
        raise UnsupportedError(
            f"{where}: {len(inputs)} inputs ({names})", hint="networks with exactly one input are supported"
        )
    _require_float(inputs[0], "input", where)
    axes = inputs[0].type.tensor_type.shape.dim
    if len(axes) < 2 or any(axis.dim_value <= 0 for axis in axes[1:]):
        shape = [axis.dim_param or axis.dim_value or "?" for axis in axes]
        raise UnsupportedError(
            f"{where}: input {inputs[0].name!r} has the shape {shape}",
            hint="a batch axis and then axes of fixed length are supported",
        )
    return inputs[0]


def _single_output(graph: onnx.GraphProto, where: str) -> ValueInfoProto:
    """The one output of scores."""
    outputs: list[ValueInfoProto] = list(graph.output)
    if len(outputs) > 1:
        types = [value.type.tensor_type for value in outputs]
        is_scores = [kind.elem_type == TensorProto.FLOAT and len(kind.shape.dim) == 2 for kind in types]
        outputs = list(compress(outputs, is_scores))
    if len(outputs) != 1:
        names = ", ".join(repr(value.name) for value in graph.output)
        raise UnsupportedError(f"{where}: {len(graph.output)} outputs ({names})", hint=_SCORES)
    _require_float(outputs[0], "output", where)
    return outputs[0]


def _require_float(value: ValueInfoProto, kind: str, where: str) -> None:
    element = value.type.tensor_type.elem_type
    if element != TensorProto.FLOAT:
        raise UnsupportedError(
            f"{where}: {kind} {value.name!r} is of type {TensorProto.DataType.Name(element)}",
            hint=f"{kind}s of type FLOAT (float32) are supported",
        )


def _output_shape(model: onnx.ModelProto, fixed: int | None, where: str) -> tuple[int, ...]:
    """Axes of the output after the batch; checks with the shapes that follow that it has a batch axis."""
    output = model.graph.output[0]
    inferred = shapes(model, where).get(output.name, ())
    # A -1 in a reshape is known only once the batch size is.
    if (
        fixed is not None
        and inferred[:1] != (BATCH_AXIS,)
        and any(shapes(model, where, batch).get(output.name, ())[:1] != (batch,) for batch in _TRIED_BATCHES)
    ):
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
    return tuple(axes)


def _freed(node: Node, initializers: Initializers, batch: int) -> Node:
    """A reshape that keeps the batch axis instead of giving it a fixed length; other nodes as they are."""
    shape = initializers.get(node.inputs[1]) if node.operator == "Reshape" else None
    if shape is None or node.attributes.get("allowzero"):
        return node
    target = numpy_helper.to_array(shape)
    if target.ndim != 1 or target.size < 2 or target[0] != batch:
        return node
    name = f"{shape.name}/any batch"
    initializers[name] = numpy_helper.from_array(np.concatenate([[0], target[1:]]), name)
    return replace(node, inputs=(node.inputs[0], name))
