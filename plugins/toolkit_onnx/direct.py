"""The direct exporter: from the graph, without a framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from toolkit.engine import is_character_network
from toolkit.errors import ProofError, UnsupportedError
from toolkit.graph.head import head_of
from toolkit.graph.separated import SeparatedModel
from toolkit.model import Model
from toolkit.onnx_export import (
    Promised,
    ProofImages,
    Reference,
    added_to,
    finished,
    graph_reference,
    proof_images,
    save_proved,
    sign,
    simplified_graph,
    take_pictures,
    with_opset,
)
from toolkit.types import ExportRequest, ExportResult
from toolkit.vocabulary import Convention, sizes
from toolkit_onnx import DirectOptions


def export(request: ExportRequest) -> ExportResult:
    """Write a model as ONNX, straight from its graph, and verify it against that graph.

    If folding batch normalisation is what makes the verification fail, it is kept.
    """
    options = request.options if isinstance(request.options, DirectOptions) else DirectOptions()
    model = request.model
    _require_exportable(model, options)
    # Of the names only: before any work.
    promised = Promised(
        input=options.input_name, output=options.output_name, pictures=options.with_preprocessing
    )
    images = proof_images(request)
    reference = graph_reference(model, images)
    added = added_to(reference.scores, normalise=options.normalise)
    promised = replace(promised, scores=reference.scores, added=added)
    try:
        return _proved(request, options, promised, reference, images)
    except ProofError as error:
        if options.keep_batch_norm:
            raise
        return _with_normalisation(request, options, promised, reference, images, error)


def _require_exportable(model: Model, options: DirectOptions) -> None:
    if len(model.output_shape) != 1 or model.classes < 2:
        raise UnsupportedError(
            f"{model.name}: the network's output has the shape {model.output_shape}",
            hint="networks with one number per class, for two classes or more, can be exported",
        )
    if options.with_preprocessing and not is_character_network(model):
        raise UnsupportedError(
            f"{model.name}: the network takes inputs of {sizes(model.input_shape)}, not 28×28 pictures",
            hint="export it without preprocessing",
        )


def _with_normalisation(
    request: ExportRequest,
    options: DirectOptions,
    promised: Promised,
    reference: Reference,
    images: Mapping[str, ProofImages],
    error: ProofError,
) -> ExportResult:
    """The export without folding, after the one with it has failed."""
    kept = _proved(request, replace(options, keep_batch_norm=True), promised, reference, images)
    why = error.message.removeprefix("the export differs from its source: ").removesuffix(
        "; nothing was written"
    )
    return replace(
        kept,
        facts={**kept.facts, "folding_refused": why},
        verified=f"{kept.verified}; batch normalisation was kept, because with it folded {why}",
    )


def _proved(
    request: ExportRequest,
    options: DirectOptions,
    promised: Promised,
    reference: Reference,
    images: Mapping[str, ProofImages],
) -> ExportResult:
    counts = dict[str, int]()

    def write(path: Path) -> None:
        model, folded, left = exportable(request.model, options, promised)
        counts.update(normalisations_folded=folded, normalisations_left=left)
        model.write(path)

    done = save_proved(request, write, [reference], images, promised)
    return replace(done, facts={**done.facts, **counts})


def exportable(model: Model, options: DirectOptions, promised: Promised) -> tuple[SeparatedModel, int, int]:
    """The exported model with its card, and the numbers of normalisations folded and left."""
    graph, folded = simplified_graph(model, fold=not options.keep_batch_norm)
    left = sum(node.operator == "BatchNormalization" for node in graph.nodes)
    made = finished(graph, model.classes, promised)
    proto, inner = with_opset(made.proto, options.opset, model.name), ""
    if options.with_preprocessing:
        convention = model.card.convention or Convention()
        logits = head_of(graph.finished()).logits
        inner = take_pictures(proto, convention, model.input_shape, model.classes, logits)
    sign(proto, model.card, promised.exported_scores, inner)
    return SeparatedModel(proto, made.weights), folded, left
