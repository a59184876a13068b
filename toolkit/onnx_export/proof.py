"""Verification of an exported ONNX file: it predicts what its source predicts, with the promised names."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.engine import Session, softmax, usable_processors
from toolkit.engine.scores import are_probabilities
from toolkit.errors import ProofError, ToolkitError
from toolkit.graph.head import head_of
from toolkit.graph.onnx_form import BATCH_AXIS, complaint, from_node, from_onnx
from toolkit.graph.separated import SeparatedModel, read_separated, replace_end
from toolkit.model import Card, Model
from toolkit.onnx_export.metadata import PREPROCESSED, read_card, read_property
from toolkit.onnx_export.preprocessing import LABEL, LOGITS, PICTURE, TOP, TOP_INDICES, TOP_VALUES
from toolkit.onnx_export.promises import Added, Promised, sign
from toolkit.onnx_export.reference import (
    BATCHES,
    KINDS,
    LARGE_MODEL,
    NetworkOutputs,
    ProofImages,
    Reference,
    in_batches,
    session_of,
)
from toolkit.types import ExportRequest, ExportResult
from toolkit.vocabulary import Scores

PROBABILITY_TOLERANCE = 1e-5
LOGIT_TOLERANCE = 1e-4
ORDINARY_LOGIT = 10.0
"""Up to here the tolerances are as above. Where the largest logit is larger, as on raw pixels, float32
loses more on the way, and both tolerances grow in proportion: 1e-5 of the largest logit."""
MARGIN = 1e-4
"""The order of two classes closer than this may depend on rounding."""

_SAID: Mapping[tuple[Scores, Added], str] = {
    ("probabilities", ""): "",
    ("logits", "softmax"): "; a softmax was added",
    ("sigmoid", ""): "; the outputs are one sigmoid per class and do not sum to 1 (-o normalise=true)",
    ("sigmoid", "normalisation"): "; the sigmoid outputs are divided by their sum",
}


def save_proved(
    request: ExportRequest,
    write: Callable[[Path], None],
    references: Sequence[Reference],
    images: Mapping[str, ProofImages],
    promised: Promised,
    **facts: Any,
) -> ExportResult:
    """Write an export, :func:`prove` it, and add the proof to its card; a file that fails is removed.

    Args:
        write: Writes the file to the request's path, with its card; called once.
        facts: Added to those of the proof.

    Raises:
        ProofError: If the file does not do what the references do.
    """
    path, model = request.path, request.model
    try:
        write(path)
        found = prove(path, model, references, images, promised)
        verification = {name: value for name, value in found.items() if name in _VERIFICATION}
        card = replace(model.card, verification=verification)
        _embed(path, card, promised)
        _check_form(read_separated(path), model)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    count = sum(found[f"{kind}_images"] for kind in KINDS)
    return ExportResult(
        path,
        {**found, **facts, "bytes": path.stat().st_size},
        f"same predictions as {found['compared_with']} on {count} images, "
        f"within {found['largest_probability_difference']:.1e}{_SAID[promised.scores, promised.added]}",
        card=card,
    )


_MEASURED = ("largest_probability_difference", "largest_logit_difference")
_VERIFICATION = (
    *("compared_with", *(f"{kind}_images" for kind in KINDS)),
    *("batches", "tolerance", "scores", "added"),
    *_MEASURED,
)


def _embed(path: Path, card: Card, promised: Promised) -> None:
    """Put a card with its verification into a file.

    Without what was measured: that differs between machines, and equal models give equal bytes.
    """
    stated = {name: value for name, value in card.verification.items() if name not in _MEASURED}
    proto = read_separated(path).proto
    inner = read_property(proto, PREPROCESSED)
    sign(proto, replace(card, verification=stated), promised.exported_scores, inner)
    replace_end(path, proto)


def prove(
    path: Path,
    model: Model,
    references: Sequence[Reference],
    images: Mapping[str, ProofImages],
    promised: Promised,
) -> Mapping[str, Any]:
    """Verify that an exported file does what its source does.

    The file's output is compared with the source's own output, after what the export promises to have
    added to it, computed in NumPy.

    Returns facts: opset, nodes, numbers of images, the largest differences, the tolerance.
    """
    file = read_separated(path)
    _check_form(file, model)
    exported = _exported(path, file, model, promised)
    found = [
        _differences(
            exported(images[kind], size),
            reference.outputs[kind, size],
            promised.added,
            f"at batch {size}, against {reference.name}",
        )
        for kind, reference, size in product(images, references, BATCHES)
    ]
    logits = [each.logits for each in found if each.logits is not None]
    return {
        "compared_with": " and ".join(reference.name for reference in references),
        **{f"{kind}_images": len(images[kind].inputs) if kind in images else 0 for kind in KINDS},
        "batches": " and ".join(str(size) for size in BATCHES),
        "largest_probability_difference": max(each.probabilities for each in found),
        "largest_logit_difference": max(logits, default=None),
        "tolerance": _rounded_up(max(each.tolerance for each in found)),
        "scores": promised.scores,
        "added": promised.added,
        "opset": max(entry.version for entry in file.proto.opset_import if not entry.domain),
        "nodes": len(file.proto.graph.node),
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
    if not math.isfinite(growth):
        growth = 1.0
    return PROBABILITY_TOLERANCE * growth, LOGIT_TOLERANCE * growth


def _rounded_up(value: float) -> float:
    """To one digit: what depends on rounding in the last digits must not change a file's bytes."""
    step = 10.0 ** math.floor(math.log10(value))
    return float(f"{math.ceil(value / step - 1e-3) * step:.0e}")


def _largest(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found.astype(np.float64) - expected).max(initial=0.0))


def _refused(what: str) -> ProofError:
    return ProofError(
        f"the export differs from its source: {what}; nothing was written",
        hint="try another opset; if that does not help, please report it",
    )


def _check_form(file: SeparatedModel, model: Model) -> None:
    """The file passes the checker, and its metadata describes the model."""
    if objection := complaint(file.proto):
        raise _refused(f"the ONNX checker does not accept it: {objection}")
    card = read_card(file.proto, "the export")
    if card.classes != model.card.classes or card.convention != model.card.convention:
        raise _refused("its metadata has other classes or another convention")


def _exported(
    path: Path, file: SeparatedModel, model: Model, promised: Promised
) -> Callable[[ProofImages, int], NetworkOutputs]:
    """Predictions of the file, and logits of a copy of it that outputs them if it does not itself."""
    with _refusing():
        if file.weight_bytes > LARGE_MODEL:
            session = session_of(file, "the export")
        else:
            session = Session(path.read_bytes(), "the export", threads=usable_processors())
    _check_ends(session, model, promised)
    ends = file.proto.graph.input[0], file.proto.graph.output[0]
    nodes = [from_node(node) for node in file.proto.graph.node]
    logits = None if promised.pictures else head_of(from_onnx(file.proto, nodes, ends)).logits
    with _refusing():
        beside = session_of(file, "the export", [logits]) if logits not in (None, promised.output) else None

    def run(images: ProofImages, size: int) -> NetworkOutputs:
        parts = list[dict[str, NDArray[Any]]]()
        given = images.pictures if promised.pictures else images.inputs
        assert given is not None
        with _refusing():
            for part in in_batches(given, size):
                feeds = {promised.input: part}
                found = dict(zip(session.outputs, session.run(feeds), strict=True))
                if beside is not None:
                    (found[LOGITS],) = beside.run(feeds)
                parts.append(found)
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        if promised.pictures:
            _check_best(whole, promised.output)
        return NetworkOutputs(whole[promised.output], whole.get(LOGITS))

    return run


def _check_ends(session: Session, model: Model, promised: Promised) -> None:
    """Names, types and shapes of inputs and outputs are as promised."""
    top = min(TOP, model.classes)
    image = ("tensor(uint8)", PICTURE) if promised.pictures else ("tensor(float)", model.input_shape)
    outputs = {promised.output: ("tensor(float)", model.output_shape)}
    if promised.pictures:
        if LOGITS in session.outputs:
            outputs[LOGITS] = ("tensor(float)", model.output_shape)
        outputs |= {
            LABEL: ("tensor(int64)", ()),
            TOP_VALUES: ("tensor(float)", (top,)),
            TOP_INDICES: ("tensor(int64)", (top,)),
        }
    for kind, names, ends in (
        ("input", session.inputs, {promised.input: image}),
        ("output", session.outputs, outputs),
    ):
        if names != tuple(ends):
            raise _refused(f"its {kind}s are {', '.join(names)}; {', '.join(ends)} is expected")
        for name, (kind_of_numbers, shape) in ends.items():
            found, axes = session.type(name), session.shape(name)
            if (found, axes) != (kind_of_numbers, (BATCH_AXIS, *shape)):
                raise _refused(f"{name} is {found} {axes}; {kind_of_numbers} {shape} is expected")


def _check_best(found: Mapping[str, NDArray[Any]], output: str) -> None:
    """Label and best classes are those of the probabilities."""
    probabilities, values, indices = found[output], found[TOP_VALUES], found[TOP_INDICES]
    right = (
        np.array_equal(found[LABEL], probabilities.argmax(axis=1))
        and np.array_equal(values, -np.sort(-probabilities, axis=1)[:, : values.shape[1]])
        and np.array_equal(values, np.take_along_axis(probabilities, indices, axis=1))
    )
    if not right:
        raise _refused("its label or its best classes are not those of its probabilities")


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except ToolkitError as error:
        raise _refused(error.message) from error
