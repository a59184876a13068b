"""From a parsed network to its graph."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from toolkit.errors import LimitReachedError, ToolkitError, UnsupportedError
from toolkit.graph import Graph, Node
from toolkit.tensors import TensorSpec
from toolkit_keras.graph_builder import (
    KERAS_DOMAIN,
    GraphBuilder,
    LayerBuilder,
    Value,
    as_keras,
    plain,
)
from toolkit_keras.keras_network import KerasNetwork, LayerCall, evaluate, leaves
from toolkit_keras.kinds_shape import pass_through
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import MaybeShape
from toolkit_keras.registry import kind_of, supported_layers

INPUT = "input"
MAX_ELEMENTS = 1 << 26

_FIXED = "supported: inputs such as 28×28×1"
_NOT_AT_INFERENCE = ("_initializer", "_regularizer", "_constraint", "name", "trainable", "dtype", "seed")


def build_graph(
    network: KerasNetwork,
    input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    tensors: Mapping[str, tuple[TensorSpec, ...]],
) -> Graph:
    """The graph of a network; reads no tensor.

    A layer without an ONNX form becomes a node of Keras' own, and so does every layer after it whose
    input's shape is then unknown; the graph's refusal says why it cannot be run.

    Args:
        input_shape: -1 for a length that is not fixed.
        tensors: Every layer's, by the layer's path.
    """
    builder = _NetworkBuilder(tensors)
    known = bool(input_shape) and -1 not in input_shape
    start = replace(plain(builder.graph.name(INPUT), input_shape), known=known)
    result = evaluate(network, (start,), builder.add)[0]
    ends = builder.layer("output", LayerConfig({}, "output"), (result,), result.shape)
    result = as_keras(ends, result) if result.known else result
    if result.name == start.name:
        result = replace(result, name=ends.add("Identity", start.name))
    name = builder.graph.name("probabilities" if result.probabilities else "logits")
    nodes = tuple(_renamed(node, result.name, name) for node in builder.graph.nodes)
    used = {value for node in nodes for value in node.inputs}
    return Graph(
        nodes=nodes,
        constants={key: array for key, array in builder.graph.constants.items() if key in used},
        bindings=tuple(binding for key, binding in builder.graph.bindings.items() if key in used),
        input=start.name,
        output=name,
        input_shape=input_shape,
        output_shape=result.shape if result.known else output_shape,
        outputs_probabilities=result.probabilities,
        refusal=_refusal(network, input_shape, known=known) or builder.refusal,
    )


def _refusal(network: KerasNetwork, input_shape: tuple[int, ...], *, known: bool) -> ToolkitError | None:
    """Why the network as a whole cannot be run."""
    unknown = sorted(
        {f"{leaf.name} ({leaf.layer.kind})" for leaf in leaves(network) if kind_of(leaf.layer) is None}
    )
    if unknown:
        return UnsupportedError(
            f"no graph can be built of {len(unknown)} of the model's layers: {', '.join(unknown[:10])}",
            hint=f"supported: {', '.join(supported_layers())}",
        )
    if not known:
        return UnsupportedError(f"the model's input has no fixed size: {list(input_shape)}", hint=_FIXED)
    if len(network.outputs) != 1:
        return UnsupportedError(f"the model has {len(network.outputs)} outputs", hint="supported: one output")
    return None


class _NetworkBuilder:
    """Adds calls of layers to a graph, in the order in which they are evaluated."""

    def __init__(self, tensors: Mapping[str, tuple[TensorSpec, ...]]) -> None:
        self.graph = GraphBuilder(frozenset(spec.name for specs in tensors.values() for spec in specs))
        self.refusal: ToolkitError | None = None
        self._tensors = {
            layer: {spec.name[len(layer) + 1 :]: spec for spec in specs} for layer, specs in tensors.items()
        }

    def layer(
        self,
        name: str,
        config: LayerConfig,
        inputs: tuple[Value, ...],
        shape: tuple[int, ...],
        *,
        repeated: bool = False,
    ) -> LayerBuilder:
        """What adds one call of a layer to the graph."""
        tensors = self._tensors.get(name, {})
        return LayerBuilder(self.graph, name, config, inputs, tensors, shape, repeated)

    def add(self, call: LayerCall, inputs: tuple[Value, ...]) -> Value:
        """Add one call of a layer; what has no ONNX form becomes a node of Keras' own."""
        kind = kind_of(call.layer)
        if kind is not None and kind.build is pass_through and not call.options:
            return inputs[0]
        config = LayerConfig(call.layer.values, call.name)
        shape: MaybeShape = None
        if kind is not None and all(value.known for value in inputs):
            shape = kind.output_shape(config, tuple(value.shape for value in inputs))
        sizes = () if shape is None else tuple(size for size in shape if size is not None)
        builder = self.layer(call.name, config, inputs, sizes, repeated=call.repeated)
        if kind is not None and all(value.known for value in inputs):
            nodes, bindings = len(self.graph.nodes), len(self.graph.bindings)
            try:
                _require_buildable(call, shape)
                return kind.build(builder)
            except (UnsupportedError, LimitReachedError) as error:
                self.refusal = self.refusal or error
                del self.graph.nodes[nodes:]
                for name in list(self.graph.bindings)[bindings:]:
                    del self.graph.bindings[name]
        name = _add_keras_layer(builder, call)
        known = shape is not None and None not in shape
        return replace(plain(name, sizes if known else ()), known=known)


def _require_buildable(call: LayerCall, shape: MaybeShape) -> None:
    if call.options:
        given = ", ".join(f"{key}={value!r}" for key, value in call.options.items())
        raise UnsupportedError(
            f"layer '{call.name}' is called with {given}"[:200],
            hint="supported: layers called on tensors alone",
        )
    if shape is None or None in shape:
        raise UnsupportedError(f"layer '{call.name}' has no fixed size", hint=_FIXED)
    elements = math.prod(size for size in shape if size is not None)
    if elements > MAX_ELEMENTS:
        raise LimitReachedError(
            f"layer '{call.name}' puts out {elements:,} numbers an image, more than {MAX_ELEMENTS:,}"
        )


def _add_keras_layer(builder: LayerBuilder, call: LayerCall) -> str:
    """A node that says what the file says of the layer, so that two models can be compared."""
    inputs = [as_keras(builder, value) if value.known else value for value in builder.inputs]
    attributes = {
        key: value for key, value in call.layer.values.items() if not key.endswith(_NOT_AT_INFERENCE)
    }
    if call.options:
        attributes["called_with"] = dict(call.options)
    names = (*(value.name for value in inputs), *map(builder.tensor, builder.tensors))
    node = Node(call.layer.kind, names, (), attributes, layer=builder.layer, domain=KERAS_DOMAIN)
    return builder.graph.add(node, builder.layer)


def _renamed(node: Node, old: str, new: str) -> Node:
    if old not in (*node.inputs, *node.outputs):
        return node
    return replace(
        node,
        inputs=tuple(new if name == old else name for name in node.inputs),
        outputs=tuple(new if name == old else name for name in node.outputs),
        name=new if node.name == old else node.name,
    )
