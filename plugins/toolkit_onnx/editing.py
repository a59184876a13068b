"""A graph that is being changed: who makes a value, who uses it, what its constants are."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from toolkit.errors import UnreadableInputError
from toolkit_onnx.without_weights import without_weights


class EditableGraph:
    """The nodes and constants of a model, taken apart to be changed and put together again.

    Args:
        model: Complete; not changed.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self.nodes: list[NodeProto] = []
        for node in model.graph.node:
            copy = NodeProto()
            copy.CopyFrom(node)
            self.nodes.append(copy)
        self.constants: dict[str, NDArray[Any]] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer
        }
        self.outputs = [value.name for value in model.graph.output]
        self._shapes: dict[str, tuple[int | None, ...]] | None = None
        self._added_shapes: dict[str, tuple[int | None, ...]] = {}

    def shape(self, value: str) -> tuple[int | None, ...] | None:
        """Axes of a value, batch included; None where they do not follow from the graph."""
        if self._shapes is None:
            self._shapes = _inferred_shapes(self._model)
        return self._added_shapes.get(value, self._shapes.get(value))

    def set_shape(self, value: str, shape: tuple[int | None, ...]) -> None:
        """Tell the axes of a value that the model as it was did not have."""
        self._added_shapes[value] = shape

    def place(self, node: NodeProto) -> int:
        """Where a node stands in the order of nodes."""
        return next(place for place, other in enumerate(self.nodes) if other is node)

    def maker(self, value: str) -> NodeProto | None:
        """The node that makes a value; None for inputs and constants."""
        return next((node for node in self.nodes if value in node.output), None)

    def users(self, value: str) -> list[NodeProto]:
        """The nodes that use a value, once for each time."""
        return [node for node in self.nodes for name in node.input if name == value]

    def only_user(self, value: str) -> NodeProto | None:
        """The node that uses a value, where nothing else does, the outside included."""
        users = self.users(value)
        return users[0] if len(users) == 1 and value not in self.outputs else None

    def remove(self, node: NodeProto) -> None:
        """Remove a node; others must have been rewired."""
        self.nodes = [other for other in self.nodes if other is not node]

    def bypass(self, node: NodeProto) -> None:
        """Remove a node whose first output is as good as its first input."""
        source, value = node.input[0], node.output[0]
        self.remove(node)
        if value not in self.outputs:
            for user in self.users(value):
                for place, name in enumerate(user.input):
                    if name == value:
                        user.input[place] = source
            return
        maker = self.maker(source)
        if maker is None:  # the output is an input or a constant: somebody must make it
            self.nodes.append(helper.make_node("Identity", [source], [value]))
            return
        for place, name in enumerate(maker.output):
            if name == source:
                maker.output[place] = value
        for user in self.users(source):
            for place, name in enumerate(user.input):
                if name == source:
                    user.input[place] = value

    def replace_constant(self, node: NodeProto, place: int, array: NDArray[Any]) -> None:
        """Give one node another constant; other nodes that use the old one keep it."""
        name = node.input[place]
        if len(self.users(name)) > 1 or name in self.outputs:
            name = self.unused_name(f"{name}/folded")
            node.input[place] = name
        self.constants[name] = np.ascontiguousarray(array)

    def unused_name(self, wanted: str) -> str:
        """A name that no value bears."""
        taken = {*self.constants, *(value.name for value in self._model.graph.input)}
        taken.update(name for node in self.nodes for name in node.output)
        name, number = wanted, 2
        while name in taken:
            name, number = f"{wanted}_{number}", number + 1
        return name

    def drop_unused(self) -> None:
        """Remove nodes and constants that the outputs do not depend on."""
        wanted = set(self.outputs)
        kept = []
        for node in reversed(self.nodes):
            if wanted.intersection(node.output):
                kept.append(node)
                wanted.update(node.input)
        self.nodes = kept[::-1]
        self.constants = {name: array for name, array in self.constants.items() if name in wanted}

    def finished(self) -> onnx.ModelProto:
        """A model of the graph as it is now; constants stand in the order in which they are used."""
        model = onnx.ModelProto()
        model.ir_version = self._model.ir_version
        model.opset_import.extend(self._model.opset_import)
        model.metadata_props.extend(self._model.metadata_props)
        graph = model.graph
        graph.name = self._model.graph.name
        graph.input.extend(self._model.graph.input)
        graph.output.extend(self._model.graph.output)
        graph.node.extend(self.nodes)
        used = dict.fromkeys(name for node in self.nodes for name in node.input)
        for name in (*used, *(name for name in self.outputs if name not in used)):
            if name in self.constants:
                graph.initializer.append(numpy_helper.from_array(self.constants[name], name))
        return model


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """An attribute's value, or the default that the operation gives it."""
    for found in node.attribute:
        if found.name == name:
            value = helper.get_attribute_value(found)
            return value.decode() if isinstance(value, bytes) else value
    return default


def set_attribute(node: NodeProto, name: str, value: Any) -> None:
    """Set an attribute, new or not."""
    for found in list(node.attribute):
        if found.name == name:
            node.attribute.remove(found)
    node.attribute.append(helper.make_attribute(name, value))


def _inferred_shapes(model: onnx.ModelProto) -> dict[str, tuple[int | None, ...]]:
    try:
        inferred = onnx.shape_inference.infer_shapes(without_weights(model), data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError) as error:
        raise UnreadableInputError(f"the graph's shapes contradict each other: {error}") from error
    shapes: dict[str, tuple[int | None, ...]] = {}
    for value in (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output):
        if value.type.tensor_type.HasField("shape"):
            axes = value.type.tensor_type.shape.dim
            shapes[value.name] = tuple(
                axis.dim_value if axis.HasField("dim_value") else None for axis in axes
            )
    for tensor in model.graph.initializer:
        shapes[tensor.name] = tuple(int(axis) for axis in tensor.dims)
    return shapes
