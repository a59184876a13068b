"""ONNX files as models: tensors, graph and card."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from toolkit.errors import UnsupportedError
from toolkit.graph import Binding, Graph, Node
from toolkit.model import Layer, Model
from toolkit.onnx_export import read_card
from toolkit.tensors import Tensors, TensorSpec
from toolkit_onnx.canonical import canonical
from toolkit_onnx.limits import read_checked
from toolkit_onnx.tensor_roles import given_name, layer_name, slot

_OTHER_FLOATS = (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)


class ProtoTensors(Tensors):
    """Tensors in an ONNX graph."""

    def __init__(self, specs: Mapping[str, TensorSpec], protos: Mapping[str, TensorProto]) -> None:
        self.specs = specs
        self._protos = protos

    def read(self, name: str) -> NDArray[Any]:
        """One tensor, out of the file's bytes."""
        return numpy_helper.to_array(self._protos[name])


def read(path: Path) -> Model:
    """Read an ONNX file without running it.

    Weights are tensors of the model; shapes, axes, bounds and other constants are constants of its graph.
    """
    model, where = read_checked(path), str(path)
    card = read_card(model, where)
    graph, initializers, dropped = canonical(model, where)
    places = _places(graph, initializers, where)
    specs = {spec.name: spec for _, spec in places.values()}
    renamed = {initializer: spec.name for initializer, (_, spec) in places.items()}
    used = {graph.output, *(name for node in graph.nodes for name in node.inputs)}
    protos = {renamed.get(name, name): tensor for name, tensor in initializers.items() if name in used}
    of_node: dict[int, list[TensorSpec]] = {}
    for index, spec in places.values():
        of_node.setdefault(index, []).append(spec)
    names = _layer_names(graph, of_node)
    layers = (
        Layer(name, node.operator, tuple(of_node.get(index, ())))
        for index, (node, name) in enumerate(zip(graph.nodes, names, strict=True))
    )

    @cache
    def describe_graph() -> Graph:
        bound = dict.fromkeys(name for name in specs if protos[name].data_type == TensorProto.FLOAT)
        return replace(
            graph,
            nodes=tuple(
                replace(node, inputs=tuple(renamed.get(value, value) for value in node.inputs), layer=name)
                for node, name in zip(graph.nodes, names, strict=True)
            ),
            constants={
                name: numpy_helper.to_array(tensor) for name, tensor in protos.items() if name not in bound
            },
            bindings=tuple(map(Binding, bound)),
        )

    return Model(
        tensors=ProtoTensors(specs, protos),
        card=card,
        describe_graph=describe_graph,
        input_shape=graph.input_shape,
        output_shape=graph.output_shape,
        dialect="onnx",
        layers=(Layer(graph.input, "Input"), *layers),
        path=path,
        dropped=(*dropped, *(f"unused tensor {name}" for name in sorted(initializers.keys() - used))),
    )


def _places(
    graph: Graph, initializers: Mapping[str, TensorProto], where: str
) -> dict[str, tuple[int, TensorSpec]]:
    """The first node that uses each tensor, and its new specification, in the order of the nodes."""
    places: dict[str, tuple[int, TensorSpec]] = {}
    taken: set[str] = set()
    for index, node in enumerate(graph.nodes):
        for place, initializer in enumerate(node.inputs):
            tensor = initializers.get(initializer)
            if tensor is None or initializer in places:
                continue
            _refuse_other_floats(tensor, node, where)
            known = slot(node, place, math.prod(tensor.dims), is_float=tensor.data_type == TensorProto.FLOAT)
            if known is None:
                continue
            own_name = layer_name(node) or f"{node.operator.lower()}_{index}"
            layer, weight = given_name(initializer) or (own_name, known[0])
            name = _unused(f"{layer}/{weight}", taken)
            dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
            places[initializer] = index, TensorSpec(name, tuple(map(int, tensor.dims)), dtype, known[1])
    return places


def _refuse_other_floats(tensor: TensorProto, node: Node, where: str) -> None:
    if len(tensor.dims) >= 2 and tensor.data_type in _OTHER_FLOATS:
        kind = TensorProto.DataType.Name(tensor.data_type)
        raise UnsupportedError(
            f"{where}: weights {tensor.name!r} of {node.operator} are of type {kind}",
            hint="weights of type FLOAT (float32) are supported; export it without converting them",
        )


def _unused(name: str, taken: set[str]) -> str:
    chosen, number = name, 2
    while chosen in taken:
        chosen, number = f"{name}_{number}", number + 1
    taken.add(chosen)
    return chosen


def _layer_names(graph: Graph, of_node: Mapping[int, list[TensorSpec]]) -> list[str]:
    """A name for each node's layer: that of its tensors, or its own."""
    taken = {graph.input}
    names = []
    for index, node in enumerate(graph.nodes):
        own = {spec.name.rpartition("/")[0] for spec in of_node.get(index, ())}
        wanted = own.pop() if len(own) == 1 else layer_name(node)
        names.append(_unused(wanted or f"{node.operator.lower()}_{index}", taken))
    return names
