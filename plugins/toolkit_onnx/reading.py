"""ONNX files as models: tensors, graph and card."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from onnx import TensorProto, helper

from toolkit.errors import naming
from toolkit.graph import AS_STORED, Binding, Graph, unused_name
from toolkit.model import Layer, Model
from toolkit.onnx_export import read_card, without_preprocessing
from toolkit.tensors import TensorRole, Tensors, TensorSpec
from toolkit_onnx.canonical import canonical
from toolkit_onnx.checking import read_checked
from toolkit_onnx.moved_weights import RearrangedTensors
from toolkit_onnx.precision import FLOATS, as_float32
from toolkit_onnx.tensor_roles import given_name, layer_name, slot
from toolkit_onnx.wire import OnnxFile


class OnnxTensors(Tensors):
    """Tensors of an ONNX file; large ones are read from it when they are asked for."""

    def __init__(
        self, file: OnnxFile, where: str, tensors: Mapping[str, tuple[TensorProto, TensorRole]]
    ) -> None:
        self._file = file
        self._where = where
        self._tensors = {name: tensor for name, (tensor, _) in tensors.items()}
        self.specs = {
            name: TensorSpec(
                name, tuple(tensor.dims), helper.tensor_dtype_to_np_dtype(tensor.data_type), role
            )
            for name, (tensor, role) in tensors.items()
        }

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor; UnreadableInputError if the file has changed."""
        with naming(self._where):
            return self._file.array(self._tensors[name])


def read(path: Path) -> Model:
    """Read an ONNX file without running it.

    Weights are tensors of the model; shapes, axes, bounds and other constants are constants of its graph.
    """
    file, where = read_checked(path), str(path)
    without_preprocessing(file.model)
    card = read_card(file.model, where)
    graph, initializers, moves, dropped = canonical(file.model, where)
    places = _places(graph, initializers)
    renamed = {initializer: name for initializer, (_, name, _) in places.items()}
    used = {graph.output, *(name for node in graph.nodes for name in node.inputs)}
    placed = {name: (initializers[initializer], role) for initializer, (_, name, role) in places.items()}
    tensors = RearrangedTensors(
        OnnxTensors(file, where, placed),
        {renamed[name]: move for name, move in moves.items() if name in renamed},
    )
    of_node: dict[int, list[TensorSpec]] = {}
    for index, name, _ in places.values():
        of_node.setdefault(index, []).append(tensors.specs[name])
    bound = dict.fromkeys(renamed[name] for name in places if initializers[name].data_type in FLOATS)
    names = _layer_names(graph, of_node)
    constants = {renamed.get(name, name): tensor for name, tensor in initializers.items() if name in used}
    layers = (
        Layer(name, node.operator, tuple(of_node.get(index, ())))
        for index, (node, name) in enumerate(zip(graph.nodes, names, strict=True))
    )

    @cache
    def describe_graph() -> Graph:
        return replace(
            graph,
            nodes=tuple(
                replace(node, inputs=tuple(renamed.get(value, value) for value in node.inputs), layer=name)
                for node, name in zip(graph.nodes, names, strict=True)
            ),
            constants={
                name: moves.get(name, AS_STORED).apply(as_float32(file.array(tensor)))
                for name, tensor in constants.items()
                if name not in bound
            },
            bindings=tuple(map(Binding, bound)),
        )

    return Model(
        tensors=tensors,
        card=card,
        describe_graph=describe_graph,
        input_shape=graph.input_shape,
        output_shape=graph.output_shape,
        dialect="onnx",
        layers=(Layer(graph.input, "Input"), *layers),
        path=path,
        dropped=(*dropped, *(f"unused tensor {name}" for name in sorted(initializers.keys() - used))),
    )


def _places(graph: Graph, initializers: Mapping[str, TensorProto]) -> dict[str, tuple[int, str, TensorRole]]:
    """The first node that uses each tensor, its new name and its role, in the order of the nodes."""
    places: dict[str, tuple[int, str, TensorRole]] = {}
    taken: set[str] = set()
    for index, node in enumerate(graph.nodes):
        for place, initializer in enumerate(node.inputs):
            tensor = initializers.get(initializer)
            if tensor is None or initializer in places:
                continue
            known = slot(node, place, math.prod(tensor.dims), is_float=tensor.data_type in FLOATS)
            if known is None:
                continue
            own_name = layer_name(node) or f"{node.operator.lower()}_{index}"
            layer, weight = given_name(initializer) or (own_name, known[0])
            name = unused_name(f"{layer}/{weight}", taken)
            taken.add(name)
            places[initializer] = index, name, known[1]
    return places


def _layer_names(graph: Graph, of_node: Mapping[int, list[TensorSpec]]) -> list[str]:
    """A name for each node's layer: that of its tensors, or its own."""
    names = [graph.input]
    for index, node in enumerate(graph.nodes):
        own = {spec.name.rpartition("/")[0] for spec in of_node.get(index, ())}
        wanted = own.pop() if len(own) == 1 else layer_name(node)
        names.append(unused_name(wanted or f"{node.operator.lower()}_{index}", names))
    return names[1:]
