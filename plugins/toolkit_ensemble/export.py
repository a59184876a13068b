"""Several models as one ONNX file, verified against their own outputs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from toolkit.engine import SERVED_BATCHES, Session, require_character_network, seconds_per_run, softmax
from toolkit.errors import UsageError
from toolkit.graph.graph import IR_VERSION, OPSET
from toolkit.graph.onnx_form import BATCH_AXIS
from toolkit.graph.separated import SeparatedModel
from toolkit.model import Card, Model, Parent
from toolkit.onnx_export import (
    INPUT,
    OUTPUT,
    NetworkOutputs,
    Promised,
    ProofImages,
    Reference,
    proof_images,
    save_proved,
    session_of,
    signed,
)
from toolkit.tensors import weights_digest
from toolkit.types import Convention, ExportRequest, ExportResult
from toolkit.vocabulary import file_size
from toolkit_ensemble import EnsembleOptions
from toolkit_ensemble.combining import (
    CHOICE,
    combined,
    entropies,
    most_confident,
    weighted_mean,
)
from toolkit_ensemble.members import Member, members_of, network_of

_ROUNDING = 1e-4
"""Of an entropy, in nats: how far rounding in float32 may move it."""


def export(request: ExportRequest) -> ExportResult:
    """Write the models as one ONNX network that combines their probabilities.

    Its input is upright/unit/light in the shape of the first model's. The file is compared with the
    models' own graphs, each on images in its own format, combined in NumPy.

    Raises:
        IncompatibleModelsError: If the models do not have the same classes.
        ProofError: If the network does not do what its models do.
        UsageError: If the weights are not one positive number for each model.
    """
    options = request.options if isinstance(request.options, EnsembleOptions) else EnsembleOptions()
    models = (request.model, *request.others)
    shares = _shares(options, len(models))
    for model in models:
        require_character_network(model)
    card = _card(models, shares, options)
    asked = dataclasses.replace(request, model=request.model.with_card(card))
    images = proof_images(asked)
    members = members_of(models, images)
    proto = _assembled(members, shares if options.combine == "mean" else None)
    reference = _reference(members, images, shares, proto if options.combine == "confident" else None)
    content = signed(proto, card, "probabilities")
    done = save_proved(
        asked, lambda path: _write(path, content), [reference], images, Promised(scores="probabilities")
    )
    normalised = [member.model.name for member in members if member.reference.scores == "sigmoid"]
    said = f"; the sigmoid outputs of {', '.join(normalised)} are divided by their sum" if normalised else ""
    unnamed = [member.model.name for member in members if not member.model.card.classes]
    if unnamed and len(members) > 1:
        said += f"; {', '.join(unnamed)} has no card: its classes are assumed to be in the same order"
    times = _times(request.path.read_bytes(), members[0].model.input_shape)
    facts = {
        "models": [member.model.name for member in members],
        "conventions": [str(member.convention) for member in members],
        "conventions_assumed": [m.model.name for m in members if m.model.card.convention is None],
        "classes_assumed": unnamed,
        "combine": options.combine,
        "weights": list(shares) if options.combine == "mean" else [],
        "normalised": normalised,
        **times,
    }
    size = file_size(request.path.stat().st_size)
    return ExportResult(
        request.path,
        {**done.facts, **facts},
        f"{done.verified}{said}; {len(members)} model{'s' if len(members) > 1 else ''}, {size}, "
        f"{times['milliseconds_batch_1']:.2f} ms for an image",
        done.card,
    )


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _shares(options: EnsembleOptions, count: int) -> tuple[float, ...]:
    weights = options.weights
    if not weights:
        return (1 / count,) * count
    if options.combine != "mean":
        raise UsageError(
            "weights are for combine=mean", hint="leave out -o weights=…, or use -o combine=mean"
        )
    if len(weights) != count or not all(math.isfinite(weight) and weight > 0 for weight in weights):
        given = ", ".join(f"{weight:g}" for weight in weights)
        raise UsageError(
            f"expected {count} weights above 0, one for each model, received {given}",
            hint="give them in the order of the models: -o weights=2,1",
        )
    total = sum(weights)
    return tuple(weight / total for weight in weights)


def _assembled(members: Sequence[Member], shares: Sequence[float] | None) -> onnx.ModelProto:
    first = members[0].model
    parts = [network_of(member) for member in members]
    nodes, constants = combined([output for output, _, _ in parts], shares)
    graph = helper.make_graph(
        [*(node for _, own, _ in parts for node in own), *nodes],
        "ensemble",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [BATCH_AXIS, *first.input_shape])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [BATCH_AXIS, first.classes])],
        [*(tensor for _, _, own in parts for tensor in own), *constants],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def _card(models: Sequence[Model], shares: Sequence[float], options: EnsembleOptions) -> Card:
    cards = [model.card for model in models]
    datasets = {card.dataset for card in cards}
    return Card(
        classes=next((card.classes for card in cards if card.classes), ()),
        convention=Convention(),
        dataset=datasets.pop() if len(datasets) == 1 else "",
        made_by="ensemble",
        parents=tuple(
            Parent(model.name, weights_digest(model.tensors), share)
            for model, share in zip(models, shares, strict=True)
        ),
        settings={"combine": options.combine},
    )


def _reference(
    members: Sequence[Member],
    images: Mapping[str, ProofImages],
    shares: Sequence[float],
    confident: onnx.ModelProto | None,
) -> Reference:
    """The members' own outputs, combined in NumPy.

    Where the most confident model is not clear within rounding, the graph's own choice is accepted.
    """
    choosing = session_of(SeparatedModel(confident, {}), "the ensemble", [CHOICE]) if confident else None
    outputs = {}
    for kind, size in members[0].reference.outputs:
        own = [member.reference.outputs[kind, size] for member in members]
        found = np.stack(
            [_probabilities(member, one.scores) for member, one in zip(members, own, strict=True)]
        )
        largest = max(one.largest_logit for one in own)
        if choosing is None:
            scores = weighted_mean(found, shares)
        else:
            chosen = choosing.run({INPUT: images[kind].inputs})[0][:, 0]
            which = np.arange(len(chosen))
            entropy = entropies(found)
            wrong = entropy[chosen, which] > entropy.min(axis=0) + _ROUNDING
            scores = found[np.where(wrong, most_confident(found), chosen), which]
        outputs[kind, size] = NetworkOutputs(scores.astype(np.float32), None, largest)
    return Reference("its models", "probabilities", outputs)


def _probabilities(member: Member, scores: NDArray[np.float32]) -> NDArray[np.float64]:
    found = scores.astype(np.float64)
    if member.reference.scores == "logits":
        found = softmax(scores).astype(np.float64)
    elif member.reference.scores == "sigmoid":
        total = found.sum(axis=1, keepdims=True)
        found = found / np.where(total, total, 1.0)
    return found[:, member.order]


def _times(content: bytes, shape: tuple[int, ...]) -> dict[str, float]:
    """Milliseconds per run on one thread."""
    session = Session(content, "the ensemble")
    rng = np.random.default_rng(0)
    found = {}
    for size in SERVED_BATCHES:
        (seconds,) = seconds_per_run([session], rng.random((size, *shape), dtype=np.float32))
        found[f"milliseconds_batch_{size}"] = round(1000 * seconds, 4)
    return found
