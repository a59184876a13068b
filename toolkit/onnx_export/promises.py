"""What every exported ONNX file promises: names, axes, probabilities, and a card in its metadata."""

from __future__ import annotations

import dataclasses

import onnx

from toolkit.graph.editing import EditableGraph, EditableNode
from toolkit.graph.onnx_form import PRODUCER, to_onnx
from toolkit.model import Card
from toolkit.onnx_export.metadata import write_properties

INPUT = "image"
OUTPUT = "probabilities"


def keep_promises(graph: EditableGraph, classes: int, *, probabilities: bool) -> onnx.ModelProto:
    """The finished model with input ``image`` and output ``probabilities``, both (``batch``, …) float32.

    Every node is named; values and constants keep their names unless the promised ones are taken.
    Without ``probabilities``, the graph does not end in a softmax, and one is added.
    """
    if not probabilities:
        logits = graph.output
        graph.output = graph.unused_name(OUTPUT if logits != OUTPUT else f"{OUTPUT}/normalised")
        graph.nodes.append(EditableNode("Softmax", [logits], [graph.output], {"axis": 1}))
    renamed = {graph.input: INPUT, graph.output: OUTPUT}
    taken = {name for node in graph.nodes for name in (*node.inputs, *node.outputs)}
    for name in (INPUT, OUTPUT):
        if name in taken and name not in renamed:
            renamed[name] = graph.unused_name(f"{name}/inner")
    graph.rename(renamed)
    for node in graph.nodes:
        node.name = node.name or node.outputs[0]
    return to_onnx(dataclasses.replace(graph.finished(), output_shape=(classes,)))


def signed(model: onnx.ModelProto, card: Card) -> bytes:
    """The file's bytes, with the program and the card in its metadata; equal models give equal bytes."""
    from toolkit.version import __version__

    model.producer_name = PRODUCER
    model.producer_version = __version__
    write_properties(model, card)
    content: bytes = model.SerializeToString(deterministic=True)
    return content
