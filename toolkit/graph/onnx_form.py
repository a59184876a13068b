"""Graphs to ONNX protobufs and back. The only module of this package that imports onnx."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from toolkit.graph.graph import Graph, Node
from toolkit.tensors import Tensors

BATCH_AXIS = "batch"
PRODUCER = "modelops-toolkit"


def to_onnx(graph: Graph, tensors: Tensors | None = None) -> onnx.ModelProto:
    """A graph as an ONNX model.

    Args:
        graph: Of a network that can be run.
        tensors: Read, rearranged and added as float32 initializers; None leaves them out.

    Raises:
        UnsupportedError: If a layer has no ONNX form; names those layers and what is supported.
        UnreadableInputError: If a tensor cannot be read.
    """
    graph.require_runnable()
    initializers = [numpy_helper.from_array(array, name) for name, array in graph.constants.items()]
    for binding in graph.bindings if tensors is not None else ():
        assert tensors is not None
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

    Args:
        inputs: float32 values by name, with their shapes without the batch axis.
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


def from_node(node: NodeProto, layer: str = "") -> Node:
    """One node of an ONNX model."""
    return Node(
        node.op_type,
        tuple(node.input),
        tuple(node.output),
        {attribute.name: _value(helper.get_attribute_value(attribute)) for attribute in node.attribute},
        node.name,
        layer,
        node.domain,
    )


def _value(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(_value(item) for item in value)
    return value


def inferred_shapes(
    graph: Graph, initializers: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[int | None, ...]]:
    """The shape of every value, batch included, as far as ONNX infers it; None for an unknown length.

    Args:
        graph: Of a network that can be run.
        initializers: Shapes of the bound initializers.

    Raises:
        onnx.shape_inference.InferenceError: If the shapes contradict each other.
    """
    model = to_onnx(graph)
    model.graph.input.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in initializers.items()
    )
    del model.graph.output[:]
    model.graph.output.append(onnx.ValueInfoProto(name=graph.output))
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes: dict[str, tuple[int | None, ...]] = {
        name: tuple(array.shape) for name, array in graph.constants.items()
    }
    for value in (*inferred.value_info, *inferred.input, *inferred.output):
        if value.type.tensor_type.HasField("shape"):
            axes = value.type.tensor_type.shape.dim
            shapes[value.name] = tuple(
                axis.dim_value if axis.HasField("dim_value") else None for axis in axes
            )
    return shapes
