"""The verb ``export``: a model for other programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.declarations import Exporter, ExportRequest, ExportResult, lazy
from toolkit.errors import MissingInputError, ToolkitError, UnsupportedError, UsageError
from toolkit.host.kinds import EXPORTERS
from toolkit.host.read_model import reader_of
from toolkit.model import Card, Model
from toolkit.model.heads import without_unused
from toolkit.model.saving import check_output, save_written
from toolkit.operations.conforming import conformed
from toolkit.operations.dataset_choice import fitting_datasets
from toolkit.operations.export_fallback import FAILURES, fallback_of
from toolkit.operations.export_images import drawing
from toolkit.operations.open_model import open_model, stated_conventions
from toolkit.operations.resources import Resources
from toolkit.options import parse_options
from toolkit.records import dataclass
from toolkit.requests.export import Export
from toolkit.requests.merge import WITHOUT_DATASET
from toolkit.store import exclusive
from toolkit.store.opening import real_path
from toolkit.vocabulary import CHARACTER_SHAPES, Convention, Progress, SilentProgress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PROBES = 64


@dataclass(frozen=True)
class Exported:
    """A published export; ``verified`` says how it was verified, ``facts`` what the exporter measured."""

    path: Path
    size: int
    exporter: str
    verified: str
    sha256: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def export(toolkit: Resources, request: Export, progress: Progress | None = None) -> Exported:
    """Export a model; the file is verified before it is saved.

    Raises:
        UsageError: If the output cannot be used, or exists and ``force`` is not given.
        ProofError: If the export does not do what the model does.
        UnsupportedError: If the network has a layer that the exporter does not support, or cannot be
            rewritten for another convention.
        BusyError: If another process writes the same file.
    """
    progress = progress or SilentProgress()
    exporter = toolkit.catalog.get(EXPORTERS, request.to)
    chosen: Any = parse_options(exporter.options, request.options, owner=f"exporter {request.to}")
    paths = (request.model, *request.others)
    if request.others and not exporter.several:
        several = [name for name, one in toolkit.catalog.all(EXPORTERS).items() if one.several]
        raise UsageError(
            f"exporter {request.to} takes one model, received {len(paths)}",
            hint=f"export them one by one; {' and '.join(several) or 'no exporter'} takes several",
        )
    target = request.out or request.model.with_suffix(exporter.ending or exporter.suffix)
    if target.suffix.lower() != exporter.suffix:
        raise UsageError(
            f"{target}: exporter {request.to} writes {exporter.suffix} files",
            hint=f"name it …{exporter.suffix}",
        )
    if real_path(target) in [real_path(path) for path in paths]:
        raise UsageError(
            f"{target}: the export would replace its own source", hint="choose another output with --out"
        )
    check_output(target, is_default=request.out is None, force=request.force)
    model, *others = _opened(toolkit, request, exporter, progress)
    draw = drawing(toolkit, model, request.dataset, progress)
    probe = _probe(toolkit, model, request.dataset)
    if probe is None and draw is not None and exporter.needs_convention:
        with suppress(MissingInputError):
            probe = draw("validation", PROBES).images
    facts: Mapping[str, Any] = {}
    if request.conform is not None:
        model, facts = conformed(model, request.conform, probe)
        others = [conformed(other, request.conform, probe)[0] for other in others]
    in_keras, load = (
        partial(lazy(f"toolkit.training.keras_bridge:{name}"), model)
        for name in ("keras_from_model", "load_written")
    )
    asked = ExportRequest(model, target, chosen, probe, in_keras, load, tuple(others), draw)
    fallback = fallback_of(toolkit, exporter, chosen, model)
    if fallback is not None:
        progress.note(fallback.note)
        exporter, asked = fallback.exporter, dataclasses.replace(asked, options=fallback.options)
    try:
        read = reader_of(toolkit.catalog, toolkit.catalog.format_for(target), model)
    except UnsupportedError:
        read = None  # an exporter's own format
    done = ExportResult(target)

    def write(staging: Path) -> str:
        nonlocal done
        try:
            done = exporter.export(dataclasses.replace(asked, path=staging))
        except FAILURES as error:
            if fallback is None:
                raise
            raise fallback.failed(error) from error
        # An exporter may change the weights, as folding does: the file has a digest of its own.
        return str(done.facts.get("weights_digest", ""))

    progress.note(f"exporting and verifying {target.name}")
    target.parent.mkdir(parents=True, exist_ok=True)

    def card() -> Card:
        # Without a card of its own, an export has no proof; its source's is not about this file.
        own = done.card or dataclasses.replace(model.card, verification={})
        proof = {**own.verification, **facts}
        return dataclasses.replace(own, name=target.stem, weights_digest="", verification=proof)

    with exclusive(target):
        written = save_written(target, card, write=write, read=read)
    verified = done.verified or f"by exporter {exporter.name}"
    if facts:
        verified += (
            f"; rewritten from {facts['conformed_from']} to {facts['conformed_to']}, same logits within "
            f"{facts['conformed_difference']:.0e} of the largest"
        )
    size = target.stat().st_size
    return Exported(target, size, exporter.name, verified, written.file_sha256, {**done.facts, **facts})


def _opened(toolkit: Resources, request: Export, exporter: Exporter, progress: Progress) -> list[Model]:
    """The models, each with the input format that is stated for it, or found if the exporter needs it."""
    paths = (request.model, *request.others)
    stated = stated_conventions(paths, request.convention, request.conventions)
    find = exporter.needs_convention and request.dataset != WITHOUT_DATASET
    models = []
    for path, own in zip(paths, stated, strict=True):
        model = open_model(toolkit, path, request.arch)
        if own is not None:
            model = model.with_card(dataclasses.replace(model.card, convention=own))
        if model.card.convention is None and model.input_shape in CHARACTER_SHAPES:
            if find:
                model = _with_found_convention(toolkit, model, request.dataset, progress)
            else:
                assumed = (
                    f"input format {Convention()} assumed (--convention sets another, "
                    "`toolkit models adopt` finds it)"
                )
                progress.note(f"{model.name}: no card with an input format: {assumed}")
        models.append(model)
    return models


def _with_found_convention(
    toolkit: Resources, model: Model, dataset: str | None, progress: Progress
) -> Model:
    """The model with the input format, and without a card the classes, under which it reads images best."""
    from toolkit.operations.adopt import search_convention

    found = search_convention(toolkit, model, progress, dataset=dataset)
    search = found.search
    if search.certainty == "untrained":
        raise UnsupportedError(
            f"{model.name}: {search.sentence}, of data set {found.source.name}; nothing was written",
            hint="leave it out, or state its input format with --convention",
        )
    progress.note(f"{model.name}: input format found on {found.source.name}: {search.sentence}")
    card = dataclasses.replace(model.card, convention=search.best.convention)
    if not card.classes:
        card = dataclasses.replace(card, classes=search.best.order.classes)
    return without_unused(model.with_card(card))


def _probe(toolkit: Resources, model: Model, dataset: str | None) -> NDArray[np.uint8] | None:
    """Images of the named data set, of the model's own, or of one that is here and has its classes."""
    if dataset == WITHOUT_DATASET or model.input_shape not in CHARACTER_SHAPES:
        return None
    if dataset is not None:
        return _first_images(toolkit, dataset)
    own = (model.card.dataset,) if model.card.dataset else ()
    fitting = (source.name for source, _ in fitting_datasets(toolkit, model.classes, model.card.classes))
    for name in (*own, *fitting):
        with suppress(ToolkitError):  # nobody asked for this one
            return _first_images(toolkit, name)
    return None


def _first_images(toolkit: Resources, dataset: str) -> NDArray[np.uint8]:
    images: NDArray[np.uint8] = toolkit.data.open(toolkit.data.find(dataset), "test").images[:PROBES]
    return images
