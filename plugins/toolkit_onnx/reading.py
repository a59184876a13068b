"""ONNX files as models: tensors, graph and card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from toolkit.errors import UnsupportedError
from toolkit.graph import Binding, Graph
from toolkit.graph.onnx_form import from_node
from toolkit.graph.walking import softmax_input
from toolkit.model import Layer, Model
from toolkit.onnx_export import read_card
from toolkit.tensors import Tensors, TensorSpec
from toolkit_onnx.canonical import canonical
from toolkit_onnx.limits import DOMAINS, checked, read_checked
from toolkit_onnx.tensor_roles import given_name, layer_name, slot


def read(path: Path) -> Model:
    """Read an ONNX file without running it.

    Returns:
        A model of the dialect ``onnx``. Weights are its tensors; shapes, axes, bounds and other
        constants are constants of its graph.

    Raises:
        UnreadableInputError: If the file is damaged or not an ONNX model.
        UnsupportedError: If it needs what is not supported: external data, control flow, functions,
            other domains, several inputs, weights that are not float32.
        LimitReachedError: If it exceeds a limit.
    """
    return _model(read_checked(path), str(path), path)


def from_bytes(content: bytes, where: str) -> Model:
    """The same for bytes in memory; ``where`` names them in messages."""
    return _model(checked(content, where), where, None)


class ProtoTensors(Tensors):
    """Tensors in an ONNX graph.

    Args:
        specs: In layer order.
        protos: By tensor name.
    """

    def __init__(self, specs: Mapping[str, TensorSpec], protos: Mapping[str, TensorProto]) -> None:
        self._specs = specs
        self._protos = protos

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Every tensor's specification by name, in layer order."""
        return self._specs

    def read(self, name: str) -> NDArray[Any]:
        """One tensor, out of the file's bytes."""
        return numpy_helper.to_array(self._protos[name])


@dataclass(frozen=True)
class _Place:
    """A tensor's place in the graph.

    Attributes:
        initializer: Its name in the file.
        layer: Index of the first node that uses it.
        spec: Under its new name.
    """

    initializer: str
    layer: int
    spec: TensorSpec


def _model(model: onnx.ModelProto, where: str, path: Path | None) -> Model:
    card = read_card(model, where)
    proto, dropped = canonical(model, where)
    places, unused = _places(proto.graph, where)
    specs = {place.spec.name: place.spec for place in places}
    renamed = {place.initializer: place.spec.name for place in places}
    initializers = {
        renamed.get(tensor.name, tensor.name): tensor
        for tensor in proto.graph.initializer
        if tensor.name not in unused
    }
    layers = _layer_names(proto.graph, places)

    @cache
    def describe_graph() -> Graph:
        nodes = tuple(
            replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs))
            for node in map(from_node, proto.graph.node, layers)
        )
        bound = {name for name in specs if initializers[name].data_type == TensorProto.FLOAT}
        return Graph(
            nodes=nodes,
            constants={
                name: numpy_helper.to_array(tensor)
                for name, tensor in initializers.items()
                if name not in bound
            },
            bindings=tuple(Binding(name) for name in specs if name in bound),
            input=proto.graph.input[0].name,
            output=proto.graph.output[0].name,
            input_shape=_axes(proto.graph.input[0]),
            output_shape=_axes(proto.graph.output[0]),
            outputs_probabilities=softmax_input(nodes, proto.graph.output[0].name) is not None,
            opsets={entry.domain: entry.version for entry in proto.opset_import if entry.domain in DOMAINS},
            ir_version=proto.ir_version,
        )

    return Model(
        tensors=ProtoTensors(specs, initializers),
        card=card,
        describe_graph=describe_graph,
        input_shape=_axes(proto.graph.input[0]),
        output_shape=_axes(proto.graph.output[0]),
        dialect="onnx",
        layers=(Layer(proto.graph.input[0].name, "Input"), *_layers(proto.graph, places, layers)),
        path=path,
        dropped=(*dropped, *(f"unused tensor {name}" for name in sorted(unused))),
    )


def _axes(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim[1:])


def _places(graph: onnx.GraphProto, where: str) -> tuple[list[_Place], set[str]]:
    """Tensors in the order of the nodes that use them, and initializers that nothing uses."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    places: dict[str, _Place] = {}
    taken: set[str] = set()
    used = {value.name for value in graph.output}
    for index, node in enumerate(graph.node):
        used.update(node.input)
        for place, initializer in enumerate(node.input):
            tensor = constants.get(initializer)
            if tensor is None or initializer in places:
                continue
            _refuse_other_floats(tensor, node, where)
            size = int(np.prod(tensor.dims, dtype=np.int64))
            known = slot(node, place, size, is_float=tensor.data_type == TensorProto.FLOAT)
            if known is None:
                continue
            layer, weight = given_name(initializer) or (
                layer_name(node) or f"{node.op_type.lower()}_{index}",
                known[0],
            )
            name = _unused(f"{layer}/{weight}", taken)
            dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
            spec = TensorSpec(name, tuple(int(axis) for axis in tensor.dims), dtype, known[1])
            places[initializer] = _Place(initializer, index, spec)
    return list(places.values()), set(constants) - used


def _refuse_other_floats(tensor: TensorProto, node: NodeProto, where: str) -> None:
    if len(tensor.dims) >= 2 and tensor.data_type in (
        TensorProto.FLOAT16,
        TensorProto.BFLOAT16,
        TensorProto.DOUBLE,
    ):
        kind = TensorProto.DataType.Name(tensor.data_type)
        raise UnsupportedError(
            f"{where}: weights {tensor.name!r} of {node.op_type} are of type {kind}",
            hint="weights of type FLOAT (float32) are supported; export it without converting them",
        )


def _unused(name: str, taken: set[str]) -> str:
    chosen, number = name, 2
    while chosen in taken:
        chosen, number = f"{name}_{number}", number + 1
    taken.add(chosen)
    return chosen


def _layer_names(graph: onnx.GraphProto, places: list[_Place]) -> list[str]:
    """A name for each node's layer: that of its tensors, or its own."""
    of_tensors: dict[int, set[str]] = {}
    for place in places:
        of_tensors.setdefault(place.layer, set()).add(place.spec.name.rpartition("/")[0])
    taken = {graph.input[0].name}
    names = []
    for index, node in enumerate(graph.node):
        own = of_tensors.get(index, set())
        wanted = own.pop() if len(own) == 1 else layer_name(node)
        names.append(_unused(wanted or f"{node.op_type.lower()}_{index}", taken))
    return names


def _layers(graph: onnx.GraphProto, places: list[_Place], names: list[str]) -> Iterator[Layer]:
    for index, (node, name) in enumerate(zip(graph.node, names, strict=True)):
        yield Layer(name, node.op_type, tuple(place.spec for place in places if place.layer == index))
