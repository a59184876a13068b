"""What an export is compared with: the source's own outputs for the images of the proof."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from toolkit.data.convention import apply_convention
from toolkit.engine import Session, find_scores, is_character_network, usable_processors
from toolkit.graph import Graph
from toolkit.graph.head import head_of
from toolkit.graph.separated import SeparatedModel, separated
from toolkit.model import Model
from toolkit.types import ExportRequest
from toolkit.vocabulary import Convention, Scores

BATCHES = (1, 3)
KINDS = ("random", "drawn", "real")
"""Of the images of a proof."""
LARGE_MODEL = 1 << 25
"""Bytes of weights. A session of a larger model is given its weights at each run, because onnxruntime
would make up to three copies of them."""

_RANDOM = 12
_REAL = 48


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


class ProofImages(NamedTuple):
    """Images as a network takes them, (n, *input_shape) float32, and as pictures.

    ``pictures`` are (n, 28, 28) uint8, upright, light ink; None if it is no network for characters.
    """

    inputs: NDArray[np.float32]
    pictures: NDArray[np.uint8] | None


class Reference(NamedTuple):
    """A source: its name, what its outputs are, and its outputs by kind of images and batch size."""

    name: str
    scores: Scores
    outputs: Mapping[tuple[str, int], NetworkOutputs]


def proof_images(request: ExportRequest) -> dict[str, ProofImages]:
    """Noise (``random``), strokes (``drawn``) and ``real`` images, if any, as the network takes them.

    A network that is not for 28×28 characters gets noise only.
    """
    model, probe = request.model, request.probe
    rng = np.random.default_rng(0)
    if not is_character_network(model):
        return {"random": ProofImages(rng.random((_RANDOM, *model.input_shape), dtype=np.float32), None)}
    found = {"random": rng.integers(0, 256, (_RANDOM, 28, 28), dtype=np.uint8), "drawn": _strokes(rng)}
    if probe is not None and len(probe):
        found["real"] = np.asarray(probe[:_REAL])
    convention = model.card.convention or Convention()
    return {
        kind: ProofImages(apply_convention(pictures, convention, model.input_shape), pictures)
        for kind, pictures in found.items()
    }


def _strokes(rng: np.random.Generator) -> NDArray[np.uint8]:
    """(12, 28, 28) Pictures of three straight strokes each, about as thick as those of a pen."""
    rows, columns = np.mgrid[:28, :28]
    places = np.stack([rows, columns], axis=-1)[np.newaxis, np.newaxis].astype(np.float64)
    start, end = rng.uniform(4, 24, (2, _RANDOM, 3, 1, 1, 2))
    along = ((places - start) * (end - start)).sum(axis=-1) / np.maximum(((end - start) ** 2).sum(axis=-1), 1)
    nearest = start + np.clip(along, 0, 1)[..., np.newaxis] * (end - start)
    distance = np.sqrt(((places - nearest) ** 2).sum(axis=-1)).min(axis=1)
    strokes: NDArray[np.uint8] = (255 * np.clip(2 - distance, 0, 1)).astype(np.uint8)
    return strokes


def graph_reference(model: Model, images: Mapping[str, ProofImages]) -> Reference:
    """The model's own graph, with batch normalisation as it is, in onnxruntime."""
    graph = model.build_graph()
    head = head_of(graph)
    shown = dict.fromkeys([graph.output, *head.sources, *([head.logits] if head.logits else [])])
    session = session_of(separated(graph, model.tensors), model.name, [*shown])

    def run(inputs: NDArray[np.float32]) -> NetworkOutputs:
        found = dict(zip(session.outputs, session.run({graph.input: inputs}), strict=True))
        largest = max((float(np.abs(found[name]).max(initial=0.0)) for name in head.sources), default=0.0)
        return NetworkOutputs(found[graph.output], found[head.logits] if head.logits else None, largest)

    return record("the model's graph", graph, run, images)


def record(
    name: str,
    graph: Graph,
    run: Callable[[NDArray[np.float32]], NetworkOutputs],
    images: Mapping[str, ProofImages],
) -> Reference:
    """Run a source on the images of a proof, so that it need not be kept in memory.

    Args:
        graph: Of the source; only its end is looked at.
        run: Takes (n, *input_shape) float32.
    """
    scores = find_scores(graph, lambda inputs: run(inputs).scores)
    outputs = {
        (kind, size): _together([run(part) for part in in_batches(images[kind].inputs, size)])
        for kind, size in product(images, BATCHES)
    }
    return Reference(name, scores, outputs)


def in_batches(images: NDArray[Any], size: int) -> Iterator[NDArray[Any]]:
    """Consecutive parts of some images."""
    yield from (images[start : start + size] for start in range(0, len(images), size))


def _together(parts: Sequence[NetworkOutputs]) -> NetworkOutputs:
    logits = [part.logits for part in parts if part.logits is not None]
    return NetworkOutputs(
        np.concatenate([part.scores for part in parts]),
        np.concatenate(logits) if logits else None,
        max(part.largest_logit for part in parts),
    )


def session_of(model: SeparatedModel, name: str, outputs: Sequence[str] | None = None) -> Session:
    """A session of a model, perhaps with other outputs; see :data:`LARGE_MODEL`."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model.proto)
    if outputs is not None:
        del shown.graph.output[:]
        shown.graph.output.extend(onnx.ValueInfoProto(name=value) for value in outputs)
    if model.weight_bytes > LARGE_MODEL:
        return Session(shown, name, threads=usable_processors(), weights=model.weights)
    return Session(SeparatedModel(shown, model.weights).whole(), name, threads=usable_processors())
