"""What an export is compared with: the source's own outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from toolkit.engine import Session, find_scores, usable_processors
from toolkit.graph.head import head_of
from toolkit.graph.onnx_form import to_onnx
from toolkit.model import Model
from toolkit.vocabulary import Scores


class NetworkOutputs(NamedTuple):
    """What a network gives for some images.

    Attributes:
        scores: (n, classes) The network's own output, as it is.
        logits: (n, classes) What its last softmax or sigmoid is applied to, or its output if it ends in
            logits; None if there is no such value.
        largest_logit: Largest absolute input of all last softmaxes or sigmoids; 0 if not known.
    """

    scores: NDArray[np.float32]
    logits: NDArray[np.float32] | None = None
    largest_logit: float = 0.0


class Reference(NamedTuple):
    """A source: its name, what its outputs are, and a function of (n, *input_shape) float32."""

    name: str
    scores: Scores
    run: Callable[[NDArray[np.float32]], NetworkOutputs]


def graph_reference(model: Model) -> Reference:
    """The model's own graph, with batch normalisation as it is, in onnxruntime."""
    graph = model.build_graph()
    head = head_of(graph)
    shown = [*dict.fromkeys([graph.output, *head.sources, *([head.logits] if head.logits else [])])]
    proto = showing(to_onnx(graph, model.tensors), shown)
    session = Session(proto, model.name, threads=usable_processors())

    def run(inputs: NDArray[np.float32]) -> NetworkOutputs:
        found = dict(zip(session.outputs, session.run({graph.input: inputs}), strict=True))
        largest = max((float(np.abs(found[name]).max(initial=0.0)) for name in head.sources), default=0.0)
        return NetworkOutputs(found[graph.output], found[head.logits] if head.logits else None, largest)

    return Reference("the model's graph", find_scores(graph, lambda inputs: run(inputs).scores), run)


def showing(proto: onnx.ModelProto, values: Sequence[str]) -> onnx.ModelProto:
    """A copy of a model with other outputs."""
    shown = onnx.ModelProto()
    shown.CopyFrom(proto)
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=value) for value in values)
    return shown
