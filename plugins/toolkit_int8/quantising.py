"""A float32 graph with 8-bit integers in it: pairs of QuantizeLinear and DequantizeLinear (QDQ)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from toolkit.graph.editing import EditableGraph, EditableNode
from toolkit_int8.calibration import Range
from toolkit_int8.places import kernel_nodes

_LARGEST_BIAS = float(1 << 30)


def quantise(
    graph: EditableGraph, values: Mapping[str, str], ranges: Mapping[str, Range], *, weight_bits: int
) -> int:
    """Quantise activations to uint8, and weights of convolutions and dense layers to int8, per channel.

    Scale and zero point of an activation follow from its range; weights are symmetric around 0; biases
    are int32 in units of input scale times weight scale (Jacob et al. 2018, arXiv:1712.05877).

    Args:
        values: The values to quantise, each with the one whose range it has.
        ranges: Lowest and highest number of these; they include 0.
        weight_bits: 7 or 8.

    Returns:
        The number of layers with integer weights.
    """
    nodes = kernel_nodes(graph)
    scales: dict[str, np.float32] = {}
    for value, origin in values.items():
        scale, zero_point = _scale_and_zero_point(*ranges[origin])
        scales[_insert_pair(graph, value, scale, zero_point)] = scale
    for node in nodes:
        _quantise_weights(graph, node, scales[node.inputs[0]], weight_bits)
    graph.drop_unused()
    return len(nodes)


def _scale_and_zero_point(low: float, high: float) -> tuple[np.float32, np.uint8]:
    scale = np.float32((high - low) / 255) or np.float32(1)
    return scale, np.uint8(np.clip(round(-low / float(scale)), 0, 255))


def _insert_pair(graph: EditableGraph, value: str, scale: np.float32, zero_point: np.uint8) -> str:
    """Quantise one value and back; returns the name of what its users take instead."""
    quantised, back = (graph.unused_name(f"{value}/{what}") for what in ("quantized", "dequantized"))
    parameters = [
        graph.add_constant(f"{value}/scale", scale),
        graph.add_constant(f"{value}/zero_point", zero_point),
    ]
    for user in graph.users(value):
        user.inputs = [back if name == value else name for name in user.inputs]
    maker = graph.producer(value)
    place = 0 if maker is None else graph.nodes.index(maker) + 1
    graph.nodes[place:place] = [
        EditableNode("QuantizeLinear", [value, *parameters], [quantised]),
        EditableNode("DequantizeLinear", [quantised, *parameters], [back]),
    ]
    return back


def _quantise_weights(graph: EditableGraph, node: EditableNode, input_scale: np.float32, bits: int) -> None:
    kernel = graph.constants[node.inputs[1]]
    outputs = 0 if node.operator == "Conv" or node.attributes.get("transB", 0) else 1
    largest = 2 ** (bits - 1) - 1
    across = tuple(axis for axis in range(kernel.ndim) if axis != outputs)
    scale = np.abs(kernel).max(axis=across) / largest
    bias = graph.constants[node.inputs[2]] if len(node.inputs) > 2 and node.inputs[2] else None
    if bias is not None:  # a large bias with tiny weights must fit into its integer
        scale = np.maximum(scale, np.abs(bias) / (_LARGEST_BIAS * input_scale))
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    wide = scale.reshape([-1 if axis == outputs else 1 for axis in range(kernel.ndim)])
    integers = np.clip(np.rint(kernel / wide), -largest, largest).astype(np.int8)
    _dequantise(graph, node, 1, integers, scale, outputs)
    if bias is not None:
        steps = (scale * input_scale).astype(np.float32)
        _dequantise(graph, node, 2, np.rint(bias / steps.astype(np.float64)).astype(np.int32), steps, 0)


def _dequantise(
    graph: EditableGraph,
    node: EditableNode,
    place: int,
    integers: NDArray[np.int8] | NDArray[np.int32],
    scale: NDArray[np.float32],
    axis: int,
) -> None:
    name = node.inputs[place]
    inputs = [
        graph.add_constant(f"{name}/integers", integers),
        graph.add_constant(f"{name}/scale", scale),
        graph.add_constant(f"{name}/zero_point", np.zeros(len(scale), integers.dtype)),
    ]
    back = graph.unused_name(f"{name}/dequantized")
    graph.nodes.insert(
        graph.nodes.index(node), EditableNode("DequantizeLinear", inputs, [back], {"axis": axis})
    )
    node.inputs[place] = back
