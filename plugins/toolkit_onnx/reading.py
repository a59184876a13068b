"""ONNX files as models: tensors, topology, card and graph."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from toolkit.errors import UnsupportedError
from toolkit.graph import Layer, Topology
from toolkit.graph.graph import Binding, Graph
from toolkit.model import Model
from toolkit.tensors import Tensors, TensorSpec
from toolkit_onnx.canonical import canonical
from toolkit_onnx.limits import DOMAINS, checked, read_checked
from toolkit_onnx.metadata import read_card
from toolkit_onnx.tensor_roles import given_name, layer_name, slot

_SHORT = 64  # constants up to this many elements stand in the topology, of longer ones a digest


def read(path: Path) -> Model:
    """Read an ONNX file without running it.

    Returns:
        A model of the dialect ``onnx``. Weights are its tensors; shapes, axes, bounds and other
        constants are attributes of the layers that use them.

    Raises:
        UnreadableInputError: If the file is damaged or is no ONNX model.
        UnsupportedError: If it needs what is not supported: external data, control flow, functions,
            other domains, several inputs, weights that are not float32.
        LimitReachedError: If it is larger than what is read.
    """
    return _model(read_checked(path), str(path), path)


def from_bytes(content: bytes, where: str) -> Model:
    """The same for bytes in memory; ``where`` names them in messages."""
    return _model(checked(content, where), where, None)


class ProtoTensors(Tensors):
    """Tensors that stand in an ONNX graph.

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
    renamed = {place.initializer: place.spec.name for place in places}
    protos: dict[str, TensorProto] = {}
    constants: list[TensorProto] = []
    for tensor in proto.graph.initializer:
        if tensor.name in unused:
            continue
        tensor.name = renamed.get(tensor.name, tensor.name)
        if tensor.name in renamed.values():
            protos[tensor.name] = tensor
        if tensor.name not in renamed.values() or tensor.data_type != TensorProto.FLOAT:
            constants.append(tensor)
    for node in proto.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
    layers = _layers(proto.graph, places, {tensor.name: tensor for tensor in constants})
    specs = {place.spec.name: place.spec for place in places}
    tensors = ProtoTensors(specs, protos)
    graph = _graph(
        proto,
        constants,
        [spec.name for spec in specs.values() if protos[spec.name].data_type == TensorProto.FLOAT],
    )
    return Model(
        topology=Topology("onnx", {}, layers, _axes(proto.graph.input[0]), _axes(proto.graph.output[0])),
        tensors=tensors,
        card=card,
        build_graph=lambda: graph,
        path=path,
        dropped=(*dropped, *(f"unused tensor {name}" for name in sorted(unused))),
    )


def _axes(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim[1:])


def _graph(proto: onnx.ModelProto, constants: list[TensorProto], bound: list[str]) -> Graph:
    bare = onnx.ModelProto()
    bare.ir_version = proto.ir_version
    bare.opset_import.extend(entry for entry in proto.opset_import if entry.domain in DOMAINS)
    bare.graph.name = proto.graph.name or "network"
    bare.graph.node.extend(proto.graph.node)
    bare.graph.input.extend(proto.graph.input)
    bare.graph.output.extend(proto.graph.output)
    bare.graph.initializer.extend(constants)
    output = bare.graph.output[0].name
    return Graph(
        proto=bare,
        bindings=tuple(Binding(name) for name in bound),
        input=bare.graph.input[0].name,
        output=output,
        outputs_probabilities=_ends_in_softmax(bare.graph, output),
    )


def _ends_in_softmax(graph: onnx.GraphProto, output: str) -> bool:
    makers = {name: node for node in graph.node for name in node.output}
    node = makers.get(output)
    while node is not None and node.op_type == "Identity":
        node = makers.get(node.input[0])
    return node is not None and node.op_type == "Softmax"


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


def _layers(
    graph: onnx.GraphProto, places: list[_Place], constants: Mapping[str, TensorProto]
) -> tuple[Layer, ...]:
    tensors_of: dict[int, list[TensorSpec]] = {}
    for place in places:
        tensors_of.setdefault(place.layer, []).append(place.spec)
    image = graph.input[0]
    layers = [Layer(image.name, "Input", {"shape": list(_axes(image))})]
    maker = {image.name: image.name}
    taken = {image.name}
    for index, node in enumerate(graph.node):
        specs = tuple(tensors_of.get(index, ()))
        of_tensors = {spec.name.rpartition("/")[0] for spec in specs}
        wanted = of_tensors.pop() if len(of_tensors) == 1 else layer_name(node)
        name = _unused(wanted or f"{node.op_type.lower()}_{index}", taken)
        attributes = {
            attribute.name: _as_json(helper.get_attribute_value(attribute))
            for attribute in sorted(node.attribute, key=lambda attribute: attribute.name)
        }
        own = {spec.name for spec in specs}
        fixed = {
            str(place): _as_json(constants[value])
            for place, value in enumerate(node.input)
            if value in constants and value not in own
        }
        if fixed:
            attributes["constants"] = fixed
        inputs = tuple(maker[value] for value in node.input if value in maker)
        layers.append(Layer(name, node.op_type, attributes, inputs, specs))
        maker.update((output, name) for output in node.output if output)
    return tuple(layers)


def _as_json(value: Any) -> Any:
    if isinstance(value, TensorProto):
        array = numpy_helper.to_array(value)
        if array.size <= _SHORT and array.dtype.kind in "fiub":
            return array.tolist()
        shape = "×".join(str(axis) for axis in array.shape)
        content = array.astype(str) if array.dtype == object else array
        return f"{array.dtype} {shape} {hashlib.sha256(np.ascontiguousarray(content).tobytes()).hexdigest()}"
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    return value if isinstance(value, int | float | str) else json.loads(json.dumps(str(value)))
