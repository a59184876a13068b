"""What every exported ONNX file promises: names, axes, scores, and a card in its metadata."""

from __future__ import annotations

import dataclasses
from typing import Literal

import onnx

from toolkit.graph.editing import EditableGraph, EditableNode
from toolkit.graph.onnx_form import PRODUCER, to_onnx
from toolkit.model import Card
from toolkit.onnx_export.metadata import write_properties
from toolkit.vocabulary import Scores

INPUT = "image"
OUTPUT = "probabilities"

Added = Literal["", "softmax", "normalisation"]
"""What an export has after the network's own outputs: nothing, a softmax, or a division by their sum."""


def added_to(scores: Scores, *, normalise: bool = False) -> Added:
    """What turns a network's outputs into the scores that an export promises.

    Logits get a softmax. A sigmoid for each class stays as it is, unless it is to be normalised.
    """
    if scores == "logits":
        return "softmax"
    return "normalisation" if scores == "sigmoid" and normalise else ""


def keep_promises(
    graph: EditableGraph,
    classes: int,
    *,
    added: Added = "",
    input_name: str = INPUT,
    output_name: str = OUTPUT,
) -> onnx.ModelProto:
    """The finished model with one input and one output of the given names, (``batch``, …) float32.

    Every node is named; values and constants keep their names unless the promised ones are taken.
    """
    add_end(graph, added, output_name)
    renamed = {graph.input: input_name, graph.output: output_name}
    taken = {name for node in graph.nodes for name in (*node.inputs, *node.outputs)}
    for name in (input_name, output_name):
        if name in taken and name not in renamed:
            renamed[name] = graph.unused_name(f"{name}/inner")
    graph.rename(renamed)
    for node in graph.nodes:
        node.name = node.name or node.outputs[0]
    return to_onnx(dataclasses.replace(graph.finished(), output_shape=(classes,)))


def add_end(graph: EditableGraph, added: Added, output_name: str = OUTPUT) -> None:
    """Add a softmax, or a division by the sum, to the end of a graph."""
    if not added:
        return
    own = graph.output
    output = graph.unused_name(output_name if own != output_name else f"{output_name}/normalised")
    operator = "Softmax" if added == "softmax" else "LpNormalization"
    attributes = {"axis": 1} | ({} if added == "softmax" else {"p": 1})
    graph.nodes.append(EditableNode(operator, [own], [output], attributes))
    graph.output = output


def signed(model: onnx.ModelProto, card: Card, scores: str = "") -> bytes:
    """The file's bytes, with the program, the card and what its outputs are in its metadata.

    Equal models give equal bytes.
    """
    from toolkit.version import __version__

    model.producer_name = PRODUCER
    model.producer_version = __version__
    write_properties(model, card, scores)
    content: bytes = model.SerializeToString(deterministic=True)
    return content
