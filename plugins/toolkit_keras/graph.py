"""From the wiring to ONNX."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import onnx
from onnx import helper, numpy_helper

from toolkit.errors import LimitReachedError, UnsupportedError
from toolkit.graph import Topology
from toolkit.graph.graph import Binding, Graph, as_stored
from toolkit_keras.graph_builder import Emission, GraphBuilder, Operation, Value, as_keras, plain
from toolkit_keras.layer_kind import Inputs
from toolkit_keras.network import Network, Visit, evaluate, leaves
from toolkit_keras.registry import kind_of, supported_layers
from toolkit_keras.settings import Settings

OPSET = 17
IR_VERSION = 8
INPUT = "input"
MAX_ELEMENTS = 1 << 26


def build_graph(network: Network, topology: Topology) -> Graph:
    """The graph of a network; reads no tensor.

    Raises:
        UnsupportedError: If a layer is not known, or wants something that is not supported.
    """
    _refuse_unknown(network)
    if not topology.input_shape or -1 in topology.input_shape:
        raise UnsupportedError(
            f"the model's input has no fixed size: {list(topology.input_shape)}",
            hint="supported: inputs such as 28×28×1",
        )
    if len(network.outputs) != 1:
        raise UnsupportedError(f"the model has {len(network.outputs)} outputs", hint="supported: one output")
    tensors = {
        layer.name: {spec.name[len(layer.name) + 1 :]: spec.name for spec in layer.tensors}
        for layer in topology.layers
    }
    builder = GraphBuilder(frozenset(spec.name for layer in topology.layers for spec in layer.tensors))
    start = plain(builder.name(INPUT), topology.input_shape)

    def apply(visit: Visit, inputs: tuple[Value, ...]) -> Value:
        return _emit(builder, visit, inputs, tensors.get(visit.name, {}))

    result = evaluate(network, (start,), apply)[0]
    ends = Emission(builder, "output", Settings({}, "output"), (result,), {}, result.shape, repeated=False)
    result = as_keras(ends, result)
    if result.name == start.name:
        result = replace(result, name=builder.add("Identity", (start.name,), "output"))
    name = builder.name("probabilities" if result.probabilities else "logits")
    operations = [_renamed(operation, result.name, name) for operation in builder.operations]
    return Graph(
        proto=_proto(builder, operations, start, replace(result, name=name)),
        bindings=tuple(Binding(tensor, arrange or as_stored) for tensor, arrange in builder.bindings.items()),
        input=start.name,
        output=name,
        outputs_probabilities=result.probabilities,
    )


def _emit(builder: GraphBuilder, visit: Visit, inputs: tuple[Value, ...], tensors: dict[str, str]) -> Value:
    kind = kind_of(visit.layer)
    assert kind is not None
    if visit.call.options:
        given = ", ".join(f"{key}={value!r}" for key, value in visit.call.options.items())
        raise UnsupportedError(
            f"layer '{visit.name}' is called with {given}"[:200],
            hint="supported: layers called on tensors alone",
        )
    settings = Settings(visit.layer.values, visit.name)
    shapes: Inputs = tuple(value.shape for value in inputs)
    shape = kind.output_shape(settings, shapes)
    if shape is None or None in shape:
        raise UnsupportedError(
            f"layer '{visit.name}' has no fixed size", hint="supported: inputs such as 28×28×1"
        )
    sizes = tuple(size for size in shape if size is not None)
    if math.prod(sizes) > MAX_ELEMENTS:
        raise LimitReachedError(
            f"layer '{visit.name}' puts out {math.prod(sizes):,} numbers an image, more than {MAX_ELEMENTS:,}"
        )
    return kind.emit(Emission(builder, visit.name, settings, inputs, tensors, sizes, visit.repeated))


def _refuse_unknown(network: Network) -> None:
    unknown = sorted(
        {f"{leaf.name} ({leaf.layer.kind})" for leaf in leaves(network) if kind_of(leaf.layer) is None}
    )
    if unknown:
        raise UnsupportedError(
            f"no graph can be built of {len(unknown)} of the model's layers: {', '.join(unknown[:10])}",
            hint=f"supported: {', '.join(supported_layers())}",
        )


def _renamed(operation: Operation, old: str, new: str) -> Operation:
    return replace(
        operation,
        inputs=tuple(new if name == old else name for name in operation.inputs),
        output=new if operation.output == old else operation.output,
    )


def _proto(
    builder: GraphBuilder, operations: list[Operation], start: Value, result: Value
) -> onnx.ModelProto:
    used = {name for operation in operations for name in operation.inputs}
    nodes = [
        helper.make_node(
            operation.kind,
            list(operation.inputs),
            [operation.output],
            name=operation.output,
            **{key: _attribute(value) for key, value in operation.attributes.items()},
        )
        for operation in operations
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [_described(start)],
        [_described(result)],
        [numpy_helper.from_array(array, name) for name, array in builder.constants.items() if name in used],
    )
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="modelops-toolkit",
    )


def _described(value: Value) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, ["batch", *value.shape])


def _attribute(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
