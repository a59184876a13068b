"""From an architecture to its graph."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from toolkit.errors import LimitReachedError, ToolkitError, UnsupportedError
from toolkit.graph import Graph, Node
from toolkit.tensors import TensorSpec
from toolkit_keras.architecture import SUPPORTED_LAYERS, KerasArchitecture, kind_of
from toolkit_keras.graph_builder import KERAS_DOMAIN, GraphBuilder, LayerBuilder, Value, as_keras, plain
from toolkit_keras.keras_network import LayerCall, LayerNode, evaluate
from toolkit_keras.kinds_shape import pass_through
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import MaybeShape

MAX_ELEMENTS = 1 << 26

_FIXED = "supported: inputs such as 28×28×1"
_NOT_AT_INFERENCE = ("_initializer", "_regularizer", "_constraint", "name", "trainable", "dtype", "seed")


def build_graph(architecture: KerasArchitecture, tensors: Mapping[str, tuple[TensorSpec, ...]]) -> Graph:
    """The graph of a network, from every layer's tensors by the layer's path; reads no tensor.

    A layer without an ONNX form becomes a node of Keras' own, and so does every layer after it whose
    input's shape is then unknown; the graph's refusal says why it cannot be run.
    """
    builder = _NetworkBuilder(tensors)
    shape = architecture.input_shape
    known = bool(shape) and -1 not in shape
    start = replace(plain(builder.graph.name("input"), shape), known=known)
    result = evaluate(architecture.network, (start,), builder.add)[0]
    config = LayerConfig({}, "output")
    ends = LayerBuilder(builder.graph, config, (result,), {}, result.shape, repeated=False)
    result = as_keras(ends, result) if result.known else result
    if result.name == start.name:
        result = replace(result, name=ends.add("Identity", start.name))
    name = builder.graph.name("scores")
    nodes = tuple(_renamed(node, {result.name: name}) for node in builder.graph.nodes)
    used = {value for node in nodes for value in node.inputs}
    return Graph(
        nodes=nodes,
        constants={key: array for key, array in builder.graph.constants.items() if key in used},
        bindings=tuple(binding for key, binding in builder.graph.bindings.items() if key in used),
        input=start.name,
        output=name,
        input_shape=shape,
        output_shape=result.shape if result.known else architecture.output_shape,
        refusal=_refusal(architecture, known=known) or builder.refusal,
    )


def _refusal(architecture: KerasArchitecture, *, known: bool) -> ToolkitError | None:
    """Why the network as a whole cannot be run."""
    layers = [expected.node for expected in architecture.expected]
    unknown = sorted({f"{layer.name} ({layer.kind})" for layer in layers if kind_of(layer) is None})
    if unknown:
        return UnsupportedError(
            f"no graph can be built of {len(unknown)} of the model's layers: {', '.join(unknown[:10])}",
            hint=f"supported: {_listed(SUPPORTED_LAYERS)}",
        )
    if not known:
        sizes = list(architecture.input_shape)
        return UnsupportedError(f"the model's input has no fixed size: {sizes}", hint=_FIXED)
    outputs = len(architecture.network.outputs)
    if outputs != 1:
        return UnsupportedError(f"the model has {outputs} outputs", hint="supported: one output")
    return None


def _listed(layers: Iterable[str]) -> str:
    """The names of layers, those of several dimensions together: ``Conv1D/2D/3D``."""
    found: dict[str, list[str]] = {}
    for name in layers:
        base = "Random…" if name.startswith("Random") else re.sub("[123]D", "{}", name)
        found.setdefault(base, []).extend(re.findall("[123]D", name))
    return ", ".join(base.format("/".join(sizes)) for base, sizes in found.items())


class _NetworkBuilder:
    """Adds calls of layers to a graph, in the order in which they are evaluated."""

    def __init__(self, tensors: Mapping[str, tuple[TensorSpec, ...]]) -> None:
        self.graph = GraphBuilder({spec.name for specs in tensors.values() for spec in specs})
        self.refusal: ToolkitError | None = None
        self._tensors = {
            layer: {spec.name[len(layer) + 1 :]: spec for spec in specs} for layer, specs in tensors.items()
        }

    def add(self, layer: LayerNode, call: LayerCall, inputs: tuple[Value, ...]) -> Value:
        """Add one call of a layer; what has no ONNX form becomes a node of Keras' own."""
        kind = kind_of(layer)
        if kind is not None and kind.build is pass_through and not call.options:
            return inputs[0]
        if kind is not None and kind.constants:
            own = LayerBuilder(self.graph, layer.config, inputs, {}, (), layer.repeated)
            call, inputs = call.with_numbers(inputs, lambda number: plain(own.constant(number, "number"), ()))
        shape: MaybeShape = None
        if not all(value.known for value in inputs):
            kind = None
        if kind is not None:
            shape = kind.output_shape(layer.config, tuple(value.shape for value in inputs))
        sizes = () if shape is None else tuple(size for size in shape if size is not None)
        tensors = self._tensors.get(layer.name, {})
        builder = LayerBuilder(self.graph, layer.config, inputs, tensors, sizes, layer.repeated)
        if kind is not None:
            nodes, bindings = len(self.graph.nodes), len(self.graph.bindings)
            try:
                _require_buildable(layer, call, shape)
                return kind.build(builder)
            except (UnsupportedError, LimitReachedError) as error:
                self.refusal = self.refusal or error
                del self.graph.nodes[nodes:]
                for name in list(self.graph.bindings)[bindings:]:
                    del self.graph.bindings[name]
        name = _add_keras_layer(builder, layer, call)
        known = shape is not None and None not in shape
        return replace(plain(name, sizes if known else ()), known=known)


def _require_buildable(layer: LayerNode, call: LayerCall, shape: MaybeShape) -> None:
    if call.options:
        given = ", ".join(f"{key}={value!r}" for key, value in call.options.items())
        raise UnsupportedError(
            f"layer '{layer.name}' is called with {given}"[:200],
            hint="supported: layers called on tensors alone",
        )
    if shape is None or None in shape:
        raise UnsupportedError(f"layer '{layer.name}' has no fixed size", hint=_FIXED)
    elements = math.prod(size for size in shape if size is not None)
    if elements > MAX_ELEMENTS:
        raise LimitReachedError(
            f"layer '{layer.name}' puts out {elements:,} numbers an image, more than {MAX_ELEMENTS:,}"
        )


def _add_keras_layer(builder: LayerBuilder, layer: LayerNode, call: LayerCall) -> str:
    """A node that says what the file says of the layer, so that two models can be compared."""
    inputs = [as_keras(builder, value) if value.known else value for value in builder.inputs]
    attributes = {
        key: value for key, value in layer.config.values.items() if not key.endswith(_NOT_AT_INFERENCE)
    }
    if call.options:
        attributes["called_with"] = dict(call.options)
    names = (*(value.name for value in inputs), *map(builder.tensor, builder.tensors))
    node = Node(layer.kind, names, (), attributes, layer=layer.name, domain=KERAS_DOMAIN)
    return builder.graph.add(node, layer.name)


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    inputs, outputs = (tuple(names.get(value, value) for value in own) for own in (node.inputs, node.outputs))
    return replace(node, inputs=inputs, outputs=outputs, name=names.get(node.name, node.name))
