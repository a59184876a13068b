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
from toolkit.errors import ProofError, ToolkitError
from toolkit.graph.onnx_form import BATCH_AXIS, complaint, from_node, to_onnx
from toolkit.graph.walking import softmax_input
from toolkit.model import Model
from toolkit.onnx_export.metadata import read_card
from toolkit.onnx_export.promises import INPUT, OUTPUT, signed
from toolkit.types import ExportRequest, ExportResult
from toolkit.vocabulary import Convention

PROBABILITY_TOLERANCE = 1e-5
LOGIT_TOLERANCE = 1e-4
ROUNDING = 2e-6
"""Of the largest logit: what float32 loses on the way. More than the tolerance only if logits exceed
50, as on raw pixels; half of it may then come through the softmax, whose slope is at most a half."""
MARGIN = 1e-4
"""The order of two classes closer than this may depend on rounding."""

BATCHES = (1, 3)
_RANDOM = 12
_REAL = 48


class NetworkOutputs(NamedTuple):
    """(n, classes) probabilities, and (n, classes) logits, the input of the softmax, if they are known."""

    probabilities: NDArray[np.float32]
    logits: NDArray[np.float32] | None


class Reference(NamedTuple):
    """What an export is compared with: its name, and a function of (n, *input_shape) float32."""

    name: str
    predict: Callable[[NDArray[np.float32]], NetworkOutputs]


def graph_reference(model: Model) -> Reference:
    """The model's own graph, with batch normalisation as it is, in onnxruntime."""
    graph = model.build_graph()
    proto = to_onnx(graph, model.tensors)
    logits = softmax_input(graph.nodes, graph.output) if graph.outputs_probabilities else graph.output
    session = _session(_showing(proto, [graph.output, *([logits] if logits else [])]), model.name)

    def predict(inputs: NDArray[np.float32]) -> NetworkOutputs:
        found = dict(zip(session.outputs, session.run({graph.input: inputs}), strict=True))
        raw = found[graph.output]
        probabilities = raw if graph.outputs_probabilities else softmax(raw)
        return NetworkOutputs(probabilities, found[logits] if logits else None)

    return Reference("the model's graph", predict)


def prove(
    content: bytes, model: Model, references: Sequence[Reference], probe: NDArray[np.uint8] | None
) -> Mapping[str, Any]:
    """Verify that an exported file does what its source does.

    ``probe`` are real images, (n, 28, 28) uint8, upright, light ink; some of them are used.

    Returns facts: nodes, bytes, numbers of images, the largest differences.
    """
    proto = _check_form(content, model)
    exported = _exported(content, proto, model)
    batches = _images(model, probe)
    probabilities, logits = [0.0], list[float]()
    for images, reference, size in product(batches.values(), references, BATCHES):
        for start in range(0, len(images), size):
            part = images[start : start + size]
            where = f"at batch {size}, against {reference.name}"
            difference, of_logits = _differences(exported(part), reference.predict(part), where)
            probabilities.append(difference)
            logits += [] if of_logits is None else [of_logits]
    return {
        "compared_with": " and ".join(reference.name for reference in references),
        "random_images": len(batches["random"]),
        "real_images": len(batches.get("real", ())),
        "batches": " and ".join(str(size) for size in BATCHES),
        "largest_probability_difference": max(probabilities),
        "largest_logit_difference": max(logits, default=None),
        "opset": max(entry.version for entry in proto.opset_import if not entry.domain),
        "nodes": len(proto.graph.node),
        "bytes": len(content),
    }


def save_proved(
    request: ExportRequest, model: onnx.ModelProto, references: Sequence[Reference], **facts: Any
) -> ExportResult:
    """Add the card to an exported model, :func:`prove` it, and only then write the file."""
    content = signed(model, request.model.card)
    found = prove(content, request.model, references, request.probe)
    request.path.write_bytes(content)
    images = found["random_images"] + found["real_images"]
    return ExportResult(
        request.path,
        {**found, **facts},
        f"same predictions as {found['compared_with']} on {images} images, "
        f"within {found['largest_probability_difference']:.1e}",
    )


def _differences(found: NetworkOutputs, expected: NetworkOutputs, where: str) -> tuple[float, float | None]:
    """The largest differences of probabilities and logits; refuses any that is too large."""
    allowed, allowed_logits = _tolerances(expected)
    difference, of_logits = _largest(found.probabilities, expected.probabilities), None
    if not difference <= allowed:
        raise _refused(f"probabilities differ by {difference:.2g} {where}, {allowed:.2g} is allowed")
    if found.logits is not None and expected.logits is not None:
        of_logits = _largest(found.logits, expected.logits)
        if not of_logits <= allowed_logits:
            raise _refused(f"logits differ by {of_logits:.2g} {where}, {allowed_logits:.2g} is allowed")
    ordered = np.sort(expected.probabilities, axis=1)
    clear = np.diff(ordered[:, -2:]).min(axis=1, initial=np.inf) > max(MARGIN, 2 * allowed)
    differs = found.probabilities.argmax(axis=1) != expected.probabilities.argmax(axis=1)
    if (differs & clear).any():
        raise _refused(f"another class is predicted for {int((differs & clear).sum())} images {where}")
    return difference, of_logits


def _tolerances(expected: NetworkOutputs) -> tuple[float, float]:
    """How far probabilities and logits may be from what is expected."""
    largest = 0.0 if expected.logits is None else float(np.abs(expected.logits).max(initial=0.0))
    rounding = ROUNDING * largest
    if not LOGIT_TOLERANCE < rounding < float("inf"):
        return PROBABILITY_TOLERANCE, LOGIT_TOLERANCE
    return rounding / 2, rounding


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
    logits = softmax_input(map(from_node, proto.graph.node), OUTPUT)
    with _refusing():
        session = _session(content, "the export")
        with_logits = _session(_showing(proto, [logits]), "the export") if logits else None
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
            (probabilities,) = session.run({INPUT: inputs})
            return NetworkOutputs(probabilities, with_logits.run({INPUT: inputs})[0] if with_logits else None)

    return predict


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except ToolkitError as error:
        raise _refused(error.message) from error


def _session(model: onnx.ModelProto | bytes, name: str) -> Session:
    return Session(model, name, threads=usable_processors())


def _showing(proto: onnx.ModelProto, values: Sequence[str]) -> onnx.ModelProto:
    shown = onnx.ModelProto()
    shown.CopyFrom(proto)
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=value) for value in dict.fromkeys(values))
    return shown


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
