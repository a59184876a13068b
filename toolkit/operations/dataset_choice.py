"""Which data set a verb uses if none is named."""

from __future__ import annotations

from toolkit.declarations import DatasetSource
from toolkit.errors import MissingInputError
from toolkit.model import Model
from toolkit.operations.resources import Resources
from toolkit.vocabulary import Progress


def choose_dataset(
    toolkit: Resources, named: str | None, model: Model | None, progress: Progress
) -> DatasetSource:
    """The data set that is named, that of a model's card, or the first one found, with a note."""
    if named is not None:
        return toolkit.data.find(named)
    if model is not None and model.card.dataset:
        try:
            source = toolkit.data.find(model.card.dataset)
        except MissingInputError as error:
            raise MissingInputError(
                f"{model.name} was trained on data set {model.card.dataset}, which is not here",
                hint="name a data set with --dataset",
            ) from error
        progress.note(f"data set {source.name}: {model.name} was trained on it")
        return source
    source = toolkit.data.find(None)
    names = [found.name for found in toolkit.data.sources() if found.rank >= 0]
    why = "the only one here" if len(names) == 1 else f"the first of {', '.join(names)}"
    progress.note(f"data set {source.name}, {why}: {source.summary}")
    return source
