"""Labelled images that an exporter calibrates and measures on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np

from toolkit.data import Dataset
from toolkit.declarations import DatasetSource
from toolkit.errors import MissingInputError, ToolkitError
from toolkit.model import Model
from toolkit.operations.resources import Resources
from toolkit.requests.merge import WITHOUT_DATASET
from toolkit.vocabulary import Progress, SplitName


def drawing(
    toolkit: Resources, model: Model, dataset: str | None, progress: Progress
) -> Callable[[SplitName, int], Dataset] | None:
    """The function ``draw`` of an :class:`~toolkit.declarations.ExportRequest`; None for ``none``.

    The data set is chosen at the first call: the named one, the model's training data, another one with
    its classes, or else images that a loader computes.
    """
    if dataset == WITHOUT_DATASET:
        return None

    @cache
    def source() -> DatasetSource:
        chosen, why = _choose(toolkit, model, dataset)
        progress.note(f"images of data set {chosen.name}: {why}")
        return chosen

    def draw(split: SplitName, most: int) -> Dataset:
        images = toolkit.data.open(source(), split)
        known = [not model.card.classes or character in model.card.classes for character in images.classes]
        usable = np.flatnonzero(np.asarray(known)[images.labels])
        if not len(usable):
            raise MissingInputError(
                f"data set {images.name} has no {split} images of the classes of {model.name}",
                hint="choose another one with --dataset",
            )
        places = np.linspace(0, len(usable) - 1, min(most, len(usable))).round().astype(np.int64)
        return images.take(usable[places])

    return draw


def _choose(toolkit: Resources, model: Model, named: str | None) -> tuple[DatasetSource, str]:
    if named is not None:
        return toolkit.data.find(named), "as requested"
    sources = toolkit.data.sources()
    for found in sources:
        if model.card.dataset and found.name == model.card.dataset:
            return found, f"{model.name} was trained on it"
    for found in _fitting(toolkit, model, [source for source in sources if source.files]):
        return found, f"it is here and has the classes of {model.name}"
    for found in _fitting(toolkit, model, [source for source in sources if not source.files]):
        return found, f"no other with the classes of {model.name} is here; its images are computed"
    raise MissingInputError(
        f"no data set with the {model.classes} classes of {model.name} is here",
        hint="name one with --dataset",
    )


def _fitting(toolkit: Resources, model: Model, sources: list[DatasetSource]) -> Iterator[DatasetSource]:
    """The data sets with the model's classes; without a card, with as many classes as it has outputs."""
    wanted = model.card.classes
    for source in sources:
        try:
            classes = toolkit.data.classes_of(source)
        except ToolkitError:
            continue  # nobody asked for this one
        if set(wanted) <= set(classes) if wanted else len(classes) == model.classes:
            yield source
