"""Verification of an exported ONNX file: it predicts what its source predicts, with the promised names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from toolkit.data.convention import apply_convention
from toolkit.engine import Session, is_character_network, softmax, usable_processors
from toolkit.errors import ProofError, ToolkitError
from toolkit.graph.onnx_form import BATCH_AXIS, from_node, to_onnx
from toolkit.graph.walking import softmax_input
from toolkit.model import Model
from toolkit.onnx_export.metadata import read_card
from toolkit.onnx_export.promises import INPUT, OUTPUT
from toolkit.vocabulary import Convention

PROBABILITY_TOLERANCE = 1e-5
LOGIT_TOLERANCE = 1e-4
ROUNDING = 2e-6
"""Of the largest logit: what float32 loses on the way. More than the tolerance only where logits pass
50, as on raw pixels; half of it may then come through the softmax, whose slope is at most a half."""
MARGIN = 1e-4
"""The order of two classes closer than this may depend on rounding."""

BATCHES = (1, 3)
_RANDOM = 12
_REAL = 48


@dataclass(frozen=True)
class Predictions:
    """What a network predicts for some images.

    Attributes:
        probabilities: (n, classes).
        logits: (n, classes) the input of the softmax; None if it is not known.
    """

    probabilities: NDArray[np.float32]
    logits: NDArray[np.float32] | None


@dataclass(frozen=True)
class Reference:
    """What an export is compared with.

    Attributes:
        name: For people: ``graph``, ``Keras``.
        predict: From (n, *input_shape) float32 to predictions.
    """

    name: str
    predict: Callable[[NDArray[np.float32]], Predictions]


def graph_reference(model: Model) -> Reference:
    """The model's own graph, with batch normalisation as it is, in onnxruntime."""
    graph = model.build_graph()
    proto = to_onnx(graph, model.tensors)
    logits = _softmax_input(proto, graph.output) if graph.outputs_probabilities else graph.output
    shown = _showing(proto, [graph.output, *([logits] if logits else [])])
    session = Session(shown, model.name, threads=usable_processors())

    def predict(inputs: NDArray[np.float32]) -> Predictions:
        found = dict(zip(session.outputs, session.run({graph.input: inputs}), strict=True))
        raw = found[graph.output]
        return Predictions(
            raw if graph.outputs_probabilities else softmax(raw), found[logits] if logits else None
        )

    return Reference("the model's graph", predict)


def prove(
    content: bytes, model: Model, references: Sequence[Reference], probe: NDArray[np.uint8] | None
) -> Mapping[str, Any]:
    """Verify that an exported file does what its source does.

    Args:
        content: The file.
        model: That it was made from.
        references: One or more to compare with.
        probe: (n, 28, 28) uint8 real images, upright, light ink; some of them are used.

    Returns:
        What was found: nodes, bytes, numbers of images, the largest differences.

    Raises:
        ProofError: If anything differs.
    """
    proto = _check_form(content, model)
    exported = _exported(content, proto, model)
    differences = _Differences()
    batches = _images(model, probe)
    for images in batches.values():
        for reference in references:
            for size in BATCHES:
                for start in range(0, len(images), size):
                    part = images[start : start + size]
                    differences.compare(exported.predict(part), reference, reference.predict(part), size)
    return {
        "compared_with": " and ".join(reference.name for reference in references),
        "random_images": len(batches["random"]),
        "real_images": len(batches.get("real", ())),
        "batches": " and ".join(str(size) for size in BATCHES),
        "largest_probability_difference": differences.probabilities,
        "largest_logit_difference": differences.logits,
        "opset": max(entry.version for entry in proto.opset_import if not entry.domain),
        "nodes": len(proto.graph.node),
        "bytes": len(content),
    }


def verified_by(facts: Mapping[str, Any]) -> str:
    """The figures of :func:`prove` as a phrase."""
    images = facts["random_images"] + facts["real_images"]
    difference = facts["largest_probability_difference"]
    return f"same predictions as {facts['compared_with']} on {images} images, within {difference:.1e}"


class _Differences:
    """The largest differences so far; raises at the first that is too large."""

    def __init__(self) -> None:
        self.probabilities = 0.0
        self.logits: float | None = None

    def compare(self, found: Predictions, reference: Reference, expected: Predictions, batch: int) -> None:
        """Compare the predictions for one batch."""
        where = f"at batch {batch}, against {reference.name}"
        allowed, allowed_logits = _tolerances(expected)
        difference = _largest(found.probabilities, expected.probabilities)
        if not difference <= allowed:
            raise _refused(f"probabilities differ by {difference:.2g} {where}, {allowed:.2g} is allowed")
        self.probabilities = max(self.probabilities, difference)
        if found.logits is not None and expected.logits is not None:
            difference = _largest(found.logits, expected.logits)
            if not difference <= allowed_logits:
                raise _refused(f"logits differ by {difference:.2g} {where}, {allowed_logits:.2g} is allowed")
            self.logits = max(self.logits or 0.0, difference)
        ordered = np.sort(expected.probabilities, axis=1)
        margin = max(MARGIN, 2 * allowed)
        clear = (
            ordered[:, -1] - ordered[:, -2] > margin if ordered.shape[1] > 1 else np.ones(len(ordered), bool)
        )
        same = found.probabilities.argmax(axis=1) == expected.probabilities.argmax(axis=1)
        if not same[clear].all():
            raise _refused(f"another class is predicted for {int((~same & clear).sum())} images {where}")


def _tolerances(expected: Predictions) -> tuple[float, float]:
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
    try:
        onnx.checker.check_model(content, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        raise _refused(
            f"the ONNX checker does not accept it: {str(error).strip().splitlines()[0]}"
        ) from error
    found = onnx.load_model_from_string(content)
    card = read_card(found, "the export")
    if card.classes != model.card.classes or card.convention != model.card.convention:
        raise _refused("its metadata has other classes or another convention")
    return found


def _exported(content: bytes, proto: onnx.ModelProto, model: Model) -> Reference:
    """The file, and a copy of it that also outputs its logits."""
    try:
        session = Session(content, "the export", threads=usable_processors())
        logits = _softmax_input(proto, OUTPUT)
        with_logits = (
            Session(_showing(proto, [logits]), "the export", threads=usable_processors()) if logits else None
        )
    except ToolkitError as error:
        raise _refused(error.message) from error
    for names, promised, name, shape in (
        (session.inputs, INPUT, "input", model.input_shape),
        (session.outputs, OUTPUT, "output", model.output_shape),
    ):
        if names != (promised,):
            raise _refused(f"its {name}s are {', '.join(names)}; {promised} is expected")
        if session.type(promised) != "tensor(float)" or session.shape(promised) != (BATCH_AXIS, *shape):
            raise _refused(
                f"{promised} is {session.type(promised)} {session.shape(promised)}; "
                f"float32 {(BATCH_AXIS, *shape)} is expected"
            )

    def predict(inputs: NDArray[np.float32]) -> Predictions:
        try:
            (probabilities,) = session.run({INPUT: inputs})
            return Predictions(probabilities, with_logits.run({INPUT: inputs})[0] if with_logits else None)
        except ToolkitError as error:
            raise _refused(error.message) from error

    return Reference("export", predict)


def _softmax_input(proto: onnx.ModelProto, output: str) -> str | None:
    return softmax_input(map(from_node, proto.graph.node), output)


def _showing(proto: onnx.ModelProto, values: Sequence[str]) -> onnx.ModelProto:
    shown = onnx.ModelProto()
    shown.CopyFrom(proto)
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=value) for value in dict.fromkeys(values))
    return shown


def _images(model: Model, probe: NDArray[np.uint8] | None) -> dict[str, NDArray[np.float32]]:
    """Noise, and real images if there are any, in the network's input format."""
    rng = np.random.default_rng(0)
    shape = model.input_shape
    if not is_character_network(model):
        return {"random": rng.random((_RANDOM, *shape), dtype=np.float32)}
    convention = model.card.convention or Convention()
    noise = rng.integers(0, 256, (_RANDOM, 28, 28), dtype=np.uint8)
    found = {"random": apply_convention(noise, convention, shape)}
    if probe is not None and len(probe):
        found["real"] = apply_convention(np.asarray(probe[:_REAL]), convention, shape)
    return found
