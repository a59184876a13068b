"""Verification of an exported ONNX file: it predicts what its source predicts, with the promised names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from toolkit.data.convention import apply_convention
from toolkit.engine import Session, is_character_network, softmax, usable_processors
from toolkit.engine.scores import are_probabilities
from toolkit.errors import ProofError, ToolkitError
from toolkit.graph.head import head_of
from toolkit.graph.onnx_form import BATCH_AXIS, complaint, from_node, from_onnx
from toolkit.model import Model
from toolkit.onnx_export.metadata import read_card
from toolkit.onnx_export.promises import INPUT, OUTPUT, Added, signed
from toolkit.onnx_export.reference import NetworkOutputs, Reference, showing
from toolkit.types import ExportRequest, ExportResult
from toolkit.vocabulary import Convention, Scores

PROBABILITY_TOLERANCE = 1e-5
LOGIT_TOLERANCE = 1e-4
ORDINARY_LOGIT = 10.0
"""Up to here the tolerances are as above. Where the largest logit is larger, as on raw pixels, float32
loses more on the way, and both tolerances grow in proportion: 1e-5 of the largest logit."""
MARGIN = 1e-4
"""The order of two classes closer than this may depend on rounding."""

BATCHES = (1, 3)
_RANDOM = 12
_REAL = 48


def prove(
    content: bytes,
    model: Model,
    references: Sequence[Reference],
    probe: NDArray[np.uint8] | None,
    *,
    added: Added = "",
) -> Mapping[str, Any]:
    """Verify that an exported file does what its source does.

    The file's output is compared with the source's own output, with ``added`` computed in NumPy.
    ``probe`` are real images, (n, 28, 28) uint8, upright, light ink; some of them are used.

    Returns facts: nodes, bytes, numbers of images, the largest differences.
    """
    proto = _check_form(content, model)
    exported = _exported(content, proto, model)
    batches = _images(model, probe)
    found = [_Differences(0.0, None, 0.0)]
    for images, reference, size in product(batches.values(), references, BATCHES):
        for start in range(0, len(images), size):
            part = images[start : start + size]
            where = f"at batch {size}, against {reference.name}"
            found.append(_differences(exported(part), reference.run(part), added, where))
    return {
        "compared_with": " and ".join(reference.name for reference in references),
        "random_images": len(batches["random"]),
        "real_images": len(batches.get("real", ())),
        "batches": " and ".join(str(size) for size in BATCHES),
        "largest_probability_difference": max(each.probabilities for each in found),
        "largest_logit_difference": max(
            (each.logits for each in found if each.logits is not None), default=None
        ),
        "tolerance": max(each.tolerance for each in found),
        "scores": references[0].scores,
        "added": added,
        "opset": max(entry.version for entry in proto.opset_import if not entry.domain),
        "nodes": len(proto.graph.node),
        "bytes": len(content),
    }


def save_proved(
    request: ExportRequest,
    model: onnx.ModelProto,
    references: Sequence[Reference],
    *,
    added: Added = "",
    **facts: Any,
) -> ExportResult:
    """Add the card to an exported model, :func:`prove` it, and only then write the file."""
    scores = references[0].scores if not added else "probabilities"
    content = signed(model, request.model.card, scores)
    found = prove(content, request.model, references, request.probe, added=added)
    request.path.write_bytes(content)
    images = found["random_images"] + found["real_images"]
    return ExportResult(
        request.path,
        {**found, **facts},
        f"same predictions as {found['compared_with']} on {images} images, "
        f"within {found['largest_probability_difference']:.1e}{_SAID[references[0].scores, added]}",
    )


_SAID: Mapping[tuple[Scores, Added], str] = {
    ("probabilities", ""): "",
    ("logits", "softmax"): "; a softmax was added",
    ("sigmoid", ""): "; the outputs are one sigmoid per class and do not sum to 1 (-o normalise=true)",
    ("sigmoid", "normalisation"): "; the sigmoid outputs are divided by their sum",
}


class _Differences(NamedTuple):
    probabilities: float
    logits: float | None
    tolerance: float


def _differences(found: NetworkOutputs, own: NetworkOutputs, added: Added, where: str) -> _Differences:
    """The largest differences of scores and logits; refuses any that is too large."""
    if added == "softmax" and are_probabilities(own.scores):
        raise _refused(f"a softmax was added to what are probabilities already {where}")
    expected = _with_end(own.scores, added)
    allowed, allowed_logits = _tolerances(own)
    difference, of_logits = _largest(found.scores, expected), None
    if not difference <= allowed:
        raise _refused(f"probabilities differ by {difference:.2g} {where}, {allowed:.2g} is allowed")
    if found.logits is not None and own.logits is not None:
        of_logits = _largest(found.logits, own.logits)
        if not of_logits <= allowed_logits:
            raise _refused(f"logits differ by {of_logits:.2g} {where}, {allowed_logits:.2g} is allowed")
    ordered = np.sort(expected, axis=1)
    clear = np.diff(ordered[:, -2:]).min(axis=1, initial=np.inf) > max(MARGIN, 2 * allowed)
    differs = found.scores.argmax(axis=1) != expected.argmax(axis=1)
    if (differs & clear).any():
        raise _refused(f"another class is predicted for {int((differs & clear).sum())} images {where}")
    return _Differences(difference, of_logits, allowed)


def _with_end(scores: NDArray[np.float32], added: Added) -> NDArray[np.float32]:
    """A network's own outputs and what the export adds to them, computed in float64."""
    if added == "softmax":
        return softmax(scores)
    if added == "normalisation":
        total = scores.sum(axis=1, keepdims=True, dtype=np.float64)
        divided: NDArray[np.float32] = (scores / np.where(total, total, 1.0)).astype(np.float32)
        return divided
    return scores


def _tolerances(own: NetworkOutputs) -> tuple[float, float]:
    """How far probabilities and logits may be from what is expected."""
    growth = max(1.0, own.largest_logit / ORDINARY_LOGIT)
    if not np.isfinite(growth):
        growth = 1.0
    return PROBABILITY_TOLERANCE * growth, LOGIT_TOLERANCE * growth


def _largest(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found.astype(np.float64) - expected).max(initial=0.0))


def _refused(what: str) -> ProofError:
    return ProofError(
        f"the export differs from its source: {what}; nothing was written",
        hint="try -o fold=false or another opset; if that does not help, please report it",
    )


def _check_form(content: bytes, model: Model) -> onnx.ModelProto:
    """The file passes the checker, and its metadata describes the model."""
    if objection := complaint(content):
        raise _refused(f"the ONNX checker does not accept it: {objection}")
    found = onnx.load_model_from_string(content)
    card = read_card(found, "the export")
    if card.classes != model.card.classes or card.convention != model.card.convention:
        raise _refused("its metadata has other classes or another convention")
    return found


def _exported(
    content: bytes, proto: onnx.ModelProto, model: Model
) -> Callable[[NDArray[np.float32]], NetworkOutputs]:
    """Predictions of the file, and logits of a copy of it that outputs them."""
    nodes = [from_node(node) for node in proto.graph.node]
    logits = head_of(from_onnx(proto, nodes, (proto.graph.input[0], proto.graph.output[0]))).logits
    with _refusing():
        session = _session(content, "the export")
        shown = showing(proto, [logits]) if logits not in (None, OUTPUT) else None
        with_logits = _session(shown, "the export") if shown is not None else None
    for kind, names, promised, shape in (
        ("input", session.inputs, INPUT, (BATCH_AXIS, *model.input_shape)),
        ("output", session.outputs, OUTPUT, (BATCH_AXIS, *model.output_shape)),
    ):
        if names != (promised,):
            raise _refused(f"its {kind}s are {', '.join(names)}; {promised} is expected")
        found = session.type(promised), session.shape(promised)
        if found != ("tensor(float)", shape):
            raise _refused(f"{promised} is {found[0]} {found[1]}; float32 {shape} is expected")

    def predict(inputs: NDArray[np.float32]) -> NetworkOutputs:
        with _refusing():
            (scores,) = session.run({INPUT: inputs})
            return NetworkOutputs(scores, with_logits.run({INPUT: inputs})[0] if with_logits else None)

    return predict


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except ToolkitError as error:
        raise _refused(error.message) from error


def _session(model: onnx.ModelProto | bytes, name: str) -> Session:
    return Session(model, name, threads=usable_processors())


def _images(model: Model, probe: NDArray[np.uint8] | None) -> dict[str, NDArray[np.float32]]:
    """Noise, and real images if there are any, in the network's input format."""
    rng = np.random.default_rng(0)
    if not is_character_network(model):
        return {"random": rng.random((_RANDOM, *model.input_shape), dtype=np.float32)}
    found = {"random": rng.integers(0, 256, (_RANDOM, 28, 28), dtype=np.uint8)}
    if probe is not None and len(probe):
        found["real"] = np.asarray(probe[:_REAL])
    convention = model.card.convention or Convention()
    return {kind: apply_convention(images, convention, model.input_shape) for kind, images in found.items()}
