"""Graphs to ONNX protobufs and back. The only module of this package that imports onnx."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from toolkit.graph.graph import Graph, Node
from toolkit.tensors import Tensors

_SMALL = 1 << 10  # elements; constants that shapes are computed from are shorter
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)

BATCH_AXIS = "batch"
PRODUCER = "modelops-toolkit"


def to_onnx(graph: Graph, tensors: Tensors | None = None) -> onnx.ModelProto:
    """A graph as an ONNX model; without tensors, the bound initializers are missing."""
    graph.require_runnable()
    initializers = [numpy_helper.from_array(array, name) for name, array in graph.constants.items()]
    if tensors is not None:
        for binding in graph.bindings:
            array = binding.rearrangement.apply(tensors.read(binding.tensor))
            initializers.append(initializer(binding.tensor, array))
    return model_of(
        graph,
        graph.nodes,
        {graph.input: graph.input_shape},
        [helper.make_tensor_value_info(graph.output, TensorProto.FLOAT, [BATCH_AXIS, *graph.output_shape])],
        initializers,
    )


def initializer(name: str, array: NDArray[Any]) -> TensorProto:
    """An array as a float32 initializer."""
    return numpy_helper.from_array(np.ascontiguousarray(array, dtype=np.float32), name)


def model_of(
    graph: Graph,
    nodes: Iterable[Node],
    inputs: Mapping[str, tuple[int, ...]],
    outputs: Iterable[onnx.ValueInfoProto],
    initializers: Iterable[TensorProto],
) -> onnx.ModelProto:
    """An ONNX model of some nodes, with the versions of the graph that they come from.

    Its inputs are float32 values; their shapes are without the batch axis.
    """
    model = onnx.ModelProto(ir_version=graph.ir_version, producer_name=PRODUCER)
    model.opset_import.extend(helper.make_opsetid(*entry) for entry in graph.opsets.items())
    model.graph.name = "network"
    model.graph.node.extend(to_node(node, graph.opsets) for node in nodes)
    model.graph.input.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH_AXIS, *shape])
        for name, shape in inputs.items()
    )
    model.graph.output.extend(outputs)
    model.graph.initializer.extend(initializers)
    return model


def to_node(node: Node, opsets: Mapping[str, int]) -> NodeProto:
    """One node as ONNX."""
    made = NodeProto(
        op_type=node.operator, input=node.inputs, output=node.outputs, name=node.name, domain=node.domain
    )
    for name, value in node.attributes.items():
        kind = None
        if value == ():  # an empty list does not tell its type, the operator's definition does
            schema = onnx.defs.get_schema(node.operator, opsets.get(node.domain, 1), node.domain)
            kind = schema.attributes[name].type.value  # type: ignore[attr-defined]
        value = numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        made.attribute.append(helper.make_attribute(name, value, attr_type=kind))
    return made


def from_node(node: NodeProto) -> Node:
    """One node of an ONNX model."""
    return Node(
        node.op_type,
        tuple(node.input),
        tuple(node.output),
        {attribute.name: _value(helper.get_attribute_value(attribute)) for attribute in node.attribute},
        node.name,
        domain=node.domain,
    )


def from_onnx(model: onnx.ModelProto, nodes: Sequence[Node], ends: Sequence[onnx.ValueInfoProto]) -> Graph:
    """A graph of some nodes of a model between its input and its output, without constants and bindings."""
    image, scores = ends
    axes = [tuple(axis.dim_value for axis in end.type.tensor_type.shape.dim[1:]) for end in ends]
    return Graph(
        nodes=tuple(nodes),
        constants={},
        bindings=(),
        input=image.name,
        output=scores.name,
        input_shape=axes[0],
        output_shape=axes[1],
        opsets={entry.domain: entry.version for entry in model.opset_import},
        ir_version=model.ir_version,
    )


def _value(value: Any) -> Any:
    if isinstance(value, bytes):
        with suppress(UnicodeDecodeError):
            return value.decode()
        return value
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(_value(item) for item in value)
    return value


def complaint(model: onnx.ModelProto | bytes) -> str:
    """The first objection of the ONNX checker, in one line; empty if it has none."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        return first_line(error)
    return ""


def first_line(error: Exception) -> str:
    """The first line of an error's message, shortened; its type if there is no message."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if len(line) <= 300 else line[:300] + "…"


def is_large_float(tensor: TensorProto) -> bool:
    """Whether a tensor holds weights and not one of the small constants that shapes are computed from."""
    return tensor.data_type in _FLOATS and math.prod(tensor.dims) > _SMALL


def value_shapes(model: onnx.ModelProto, batch: int | None = None) -> dict[str, tuple[int | str | None, ...]]:
    """The shape of every value but constants, as far as ONNX infers it.

    Shapes that the model declares for values other than inputs are not used. ``batch`` replaces
    the length of the inputs' first axis. An axis is its length, its name, or None if neither is known.

    Raises:
        onnx.shape_inference.InferenceError: If the shapes contradict each other.
    """
    bare = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    bare.graph.name = model.graph.name
    bare.graph.node.extend(model.graph.node)
    bare.graph.output.extend(onnx.ValueInfoProto(name=value.name) for value in model.graph.output)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name not in constants:
            bare.graph.input.append(value)
            axes = bare.graph.input[-1].type.tensor_type.shape.dim
            if batch is not None and axes:
                axes[0].dim_value = batch
    for name, tensor in constants.items():
        # The inference serializes what it is given: large weights are declared as inputs instead.
        if is_large_float(tensor):
            bare.graph.input.append(helper.make_tensor_value_info(name, tensor.data_type, tensor.dims))
        else:
            bare.graph.initializer.append(tensor)
    inferred = onnx.shape_inference.infer_shapes(bare, data_prop=True).graph
    return {
        value.name: tuple(
            axis.dim_value if axis.HasField("dim_value") else axis.dim_param or None
            for axis in value.type.tensor_type.shape.dim
        )
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
        if value.name not in constants and value.type.tensor_type.HasField("shape")
    }


def inferred_shapes(
    graph: Graph, initializers: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[int | None, ...]]:
    """The shape of every value and constant of a graph, batch included; None for an unknown length.

    Takes the graph of a network that can be run, and the shapes of its bound initializers.
    """
    model = to_onnx(graph)
    model.graph.input.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in initializers.items()
    )
    return {name: tuple(array.shape) for name, array in graph.constants.items()} | {
        name: tuple(axis if isinstance(axis, int) else None for axis in axes)
        for name, axes in value_shapes(model).items()
    }
