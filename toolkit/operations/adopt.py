"""The verb ``models adopt``: a card for a network that somebody else trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from toolkit.declarations import DatasetSource
from toolkit.errors import MissingInputError, ToolkitError, UsageError
from toolkit.model import Card, Model
from toolkit.model.card_file import card_path, read_card, write_card
from toolkit.model.heads import without_unused
from toolkit.operations.dataset_choice import datasets_in_use, fitting_datasets
from toolkit.operations.open_model import open_whole
from toolkit.operations.resources import Resources
from toolkit.records import dataclass
from toolkit.requests.adopt import Adopt
from toolkit.tensors import weights_digest
from toolkit.vocabulary import Convention, Progress, SplitName

if TYPE_CHECKING:
    from toolkit.data import Dataset
    from toolkit.engine.conventions import Certainty, ConventionSearch

MEASURED_IMAGES = 2000


@dataclass(frozen=True)
class TriedConvention:
    """One input format and how well the network reads under it, on the images of the search."""

    convention: Convention
    accuracy: float
    log_loss: float


@dataclass(frozen=True)
class Adopted:
    """What was found out about a network.

    Attributes:
        certainty: ``certain``, ``uncertain`` or ``untrained``.
        convention: None if the network is untrained, as are ``classes``, by output index; "" is an
            output that stands for no class.
        class_order: Where the order of the classes comes from.
        dataset: The images that were tried; ``drawn`` if they are computed.
        accuracy: On ``images`` images of ``split``, which were not used in the search; on those of the
            search if they are drawn.
        lead: Accuracy minus that of the best other orientation, scale or ink, in the search;
            ``lead_error`` is its standard error. None if only one was tried.
        tried: The best first.
        sentence: The result of the search for a person.
    """

    model: Path
    card: Path
    certainty: Certainty
    convention: Convention | None
    classes: tuple[str, ...]
    class_order: str
    dataset: str
    drawn: bool
    split: SplitName
    accuracy: float
    images: int
    lead: float | None
    lead_error: float | None
    tried: tuple[TriedConvention, ...]
    sentence: str


@dataclass(frozen=True)
class FoundConvention:
    """What was found out about a network on the images of a data set."""

    source: DatasetSource
    search: ConventionSearch


def adopt(toolkit: Resources, request: Adopt, progress: Progress) -> Adopted:
    """Find out a network's convention and class order on labelled images, and write its card.

    Raises:
        UsageError: If there is a card and ``force`` is not given.
        UnsupportedError: If the network cannot be run on characters.
        MissingInputError: If no labelled images can show the network's classes.
    """
    from toolkit.engine import require_character_network

    beside = card_path(request.model)
    model = open_whole(toolkit, request.model, request.arch)
    known = read_card(request.model) is not None or model.card.convention is not None
    if known and not request.force:
        raise UsageError(f"{request.model}: it has a card", hint="replace the card with --force")
    model = model.with_card(Card(name=request.model.stem, architecture=model.card.architecture))
    require_character_network(model)
    found = search_convention(
        toolkit, model, progress, dataset=request.dataset, convention=request.convention
    )
    search, best = found.search, found.search.best
    drawn = found.source.rank < 0
    untrained = search.certainty == "untrained"
    split: SplitName = "fit"
    accuracy, images = best.accuracy, search.images
    card = dataclasses.replace(model.card, weights_digest=weights_digest(model.tensors))
    if not untrained:
        card = dataclasses.replace(card, classes=best.order.classes, convention=best.convention)
        if not drawn:
            split, accuracy, images = _measured(toolkit, model.with_card(card), found)
        kind = found.source.name if drawn else split
        card = dataclasses.replace(
            card, metrics={f"{kind}_accuracy": accuracy, f"{kind}_images": float(images)}
        )
    adopted = Adopted(
        model=request.model,
        card=beside,
        certainty=search.certainty,
        convention=card.convention,
        classes=card.classes,
        class_order=best.order.how,
        dataset=found.source.name,
        drawn=drawn,
        split=split,
        accuracy=accuracy,
        images=images,
        lead=search.lead if np.isfinite(search.lead) else None,
        lead_error=search.lead_error if np.isfinite(search.lead_error) else None,
        tried=tuple(
            TriedConvention(one.convention, one.accuracy, one.log_loss) for one in search.candidates[:5]
        ),
        sentence=search.sentence,
    )
    settings = {
        "adopted": {
            "certainty": search.certainty,
            "stated": request.convention is not None,
            "class_order": best.order.how,
            "dataset": found.source.name,
            "search": search.sentence,
        }
    }
    write_card(request.model, dataclasses.replace(card, settings=settings).stamped())
    return adopted


def search_convention(
    toolkit: Resources,
    model: Model,
    progress: Progress,
    *,
    dataset: str | None = None,
    convention: Convention | None = None,
) -> FoundConvention:
    """The best result on the first group of data sets that the network can read.

    Args:
        dataset: The data set to use; None for all.
        convention: If it is known, so that only the class order is searched for.

    Raises:
        MissingInputError: If no labelled images can show the network's classes.
    """
    from toolkit.engine.conventions import PLAUSIBLE, find_convention

    best: FoundConvention | None = None
    failure: ToolkitError | None = None
    for group in _groups(toolkit, dataset, model):
        for source in group:
            progress.note(f"trying input formats on {source.name}")
            try:
                _, data = _labelled(toolkit, source, "fit")
                search = find_convention(model, data.images, data.labels, data.classes, convention=convention)
            except UsageError as error:
                failure = error
                continue
            # The first images are the user's: others are preferred only if the network can read them.
            reads = search.best.accuracy >= PLAUSIBLE
            if best is None or (reads and search.best.accuracy > best.search.best.accuracy):
                best = FoundConvention(source, search)
        if best is not None and best.search.best.accuracy >= PLAUSIBLE:
            break
    if best is None:
        raise failure or MissingInputError(
            f"{model.path or model.name}: no data set here shows {model.classes} classes that the network "
            "could have",
            hint="name labelled images with --dataset",
        )
    return best


def _groups(toolkit: Resources, named: str | None, model: Model) -> Iterator[list[DatasetSource]]:
    """Data sets with as many classes as the network; others that show them; computed ones."""
    from toolkit.engine.class_orders import known_orders

    if named is not None:
        yield [toolkit.data.find(named)]
        return
    fitting = [source for source, _ in fitting_datasets(toolkit, model.classes, ())]
    yield fitting
    others = [
        source
        for source, classes in datasets_in_use(toolkit)
        if source not in fitting and known_orders(model.classes, classes)
    ]
    tried = fitting or others[:1]
    yield [] if fitting else tried
    shown = [{*toolkit.data.classes_of(source)} for source in tried]
    computed = [source for source in toolkit.data.sources() if source.rank < 0]
    # Drawn characters say nothing that real images of the same characters have not said.
    yield [one for one in computed if not any(own <= {*toolkit.data.classes_of(one)} for own in shown)]


def _labelled(toolkit: Resources, source: DatasetSource, split: SplitName) -> tuple[SplitName, Dataset]:
    """A part of the train file; the test file if there is no other."""
    try:
        return split, toolkit.data.open(source, split)
    except MissingInputError:
        return "test", toolkit.data.open(source, "test")


def _measured(toolkit: Resources, model: Model, found: FoundConvention) -> tuple[SplitName, float, int]:
    """Accuracy on validation images of the network's classes, at most 2,000 of them."""
    from toolkit.data import Dataset
    from toolkit.engine import Network, evaluate, usable_processors

    order = found.search.best.order
    split, data = _labelled(toolkit, found.source, "validation")
    outputs = order.outputs(data.classes)[np.asarray(data.labels)]
    places = np.flatnonzero(outputs >= 0)
    if len(places) > MEASURED_IMAGES:
        places = np.sort(np.random.default_rng(0).choice(places, MEASURED_IMAGES, replace=False))
    network = Network.of(without_unused(model), threads=usable_processors())
    index = {name: label for label, name in enumerate(network.labels)}
    labels = np.asarray([index[order.classes[output]] for output in outputs[places]], np.int32)
    result = evaluate(network, Dataset(data.name, network.labels, data.images[places], labels))
    return split, result.accuracy, result.images
