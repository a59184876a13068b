"""What every exported ONNX file promises: names, axes, scores, and a card in its metadata."""

from __future__ import annotations

import dataclasses
from typing import Literal

import onnx

from toolkit.errors import UsageError, shown
from toolkit.graph.editing import EditableGraph, EditableNode
from toolkit.graph.onnx_form import PRODUCER
from toolkit.graph.separated import SeparatedModel, separated
from toolkit.model import Card
from toolkit.onnx_export.metadata import write_properties
from toolkit.onnx_export.preprocessing import LABEL, LOGITS, TOP_INDICES, TOP_VALUES
from toolkit.records import dataclass
from toolkit.vocabulary import Scores

INPUT = "image"
OUTPUT = "probabilities"

Added = Literal["", "softmax", "normalisation"]
"""What an export has after the network's own outputs: nothing, a softmax, or a division by their sum."""

_OTHER_OUTPUTS = (LOGITS, LABEL, TOP_VALUES, TOP_INDICES)


@dataclass(frozen=True)
class Promised:
    """The form of an exported file.

    Attributes:
        scores: What the network's own outputs are.
        added: What follows them.
        input: Name of the input.
        output: Name of the output with the probabilities.
        pictures: Whether it takes uint8 pictures, (batch, 28, 28), and gives logits, label and the five
            best classes, too.
    """

    scores: Scores = "probabilities"
    added: Added = ""
    input: str = INPUT
    output: str = OUTPUT
    pictures: bool = False

    def __post_init__(self) -> None:
        for what, name in (("input", self.input), ("output", self.output)):
            if not name or not name.isprintable() or (self.pictures and name in _OTHER_OUTPUTS):
                raise UsageError(
                    f"{shown(name)} cannot be the {what}'s name",
                    hint="choose a printable one that no other output has",
                )
        if self.input == self.output:
            raise UsageError(f"input and output are both called {shown(self.input)}", hint="rename one")

    @property
    def exported_scores(self) -> Scores:
        """What the file's output is."""
        return "probabilities" if self.added else self.scores


def added_to(scores: Scores, *, normalise: bool = False) -> Added:
    """What turns a network's outputs into the scores that an export promises.

    Logits get a softmax. A sigmoid for each class stays as it is, unless it is to be normalised.
    """
    if scores == "logits":
        return "softmax"
    return "normalisation" if scores == "sigmoid" and normalise else ""


def keep_promises(graph: EditableGraph, classes: int, *, added: Added = "") -> onnx.ModelProto:
    """The finished model with input ``image`` and output ``probabilities``, both (``batch``, …) float32.

    Every node is named; values and constants keep their names unless the promised ones are taken.
    """
    return finished(graph, classes, Promised(added=added)).whole()


def finished(graph: EditableGraph, classes: int, promised: Promised) -> SeparatedModel:
    """The finished model as :func:`keep_promises` makes it, without copying its weights.

    ``graph`` is changed. The preprocessing of a file that takes pictures is not added yet.
    """
    _add_end(graph, promised)
    renamed = {graph.input: promised.input, graph.output: promised.output}
    reserved = [promised.input, promised.output, *(_OTHER_OUTPUTS if promised.pictures else ())]
    taken = {name for node in graph.nodes for name in (*node.inputs, *node.outputs)}
    for name in reserved:
        if name in taken and name not in renamed:
            renamed[name] = graph.unused_name(f"{name}/inner")
    graph.rename(renamed)
    for node in graph.nodes:
        node.name = node.name or node.outputs[0]
    return separated(dataclasses.replace(graph.finished(), output_shape=(classes,)))


def _add_end(graph: EditableGraph, promised: Promised) -> None:
    if not promised.added:
        return
    own, name = graph.output, promised.output
    output = graph.unused_name(name if own != name else f"{name}/normalised")
    softmax = promised.added == "softmax"
    attributes = {"axis": 1} if softmax else {"axis": 1, "p": 1}
    operator = "Softmax" if softmax else "LpNormalization"
    graph.nodes.append(EditableNode(operator, [own], [output], attributes))
    graph.output = output


def signed(model: onnx.ModelProto, card: Card, scores: str = "") -> bytes:
    """The file's bytes, with the program, the card and what its outputs are in its metadata.

    Equal models give equal bytes.
    """
    sign(model, card, scores)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def sign(model: onnx.ModelProto, card: Card, scores: str = "", preprocessed: str = "") -> None:
    """Set the program and the metadata of a model; see :func:`write_properties`."""
    from toolkit.version import __version__

    model.producer_name = PRODUCER
    model.producer_version = __version__
    write_properties(model, card, scores, preprocessed)
