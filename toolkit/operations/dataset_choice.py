"""Which data set a verb uses if none is named."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.declarations import DatasetSource
from toolkit.errors import MissingInputError, ToolkitError
from toolkit.model import Model
from toolkit.operations.resources import Resources
from toolkit.vocabulary import Progress


def choose_dataset(
    toolkit: Resources, named: str | None, model: Model | None, progress: Progress
) -> DatasetSource:
    """The data set that is named, that of a model's card, or the first one that fits, with a note.

    Raises:
        MissingInputError: If there is none, or none with the model's classes.
    """
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
    if model is None:
        source = toolkit.data.find(None)
        names = [found.name for found in toolkit.data.sources() if found.rank >= 0]
        why = "the only one here" if len(names) == 1 else f"the first of {', '.join(names)}"
        progress.note(f"data set {source.name}, {why}: {source.summary}")
        return source
    toolkit.data.find(None)  # says where to put a data set, if there is none
    fitting = fitting_datasets(toolkit, model.classes, model.card.classes)
    if not fitting:
        there = (f"{source.name} ({len(classes)})" for source, classes in datasets_in_use(toolkit))
        raise MissingInputError(
            f"{model.name} has {model.classes} classes; no data set here has them: {', '.join(there)}",
            hint="name a data set with --dataset",
        )
    source, classes = fitting[0]
    why = "the only one" if len(fitting) == 1 else f"the first of {', '.join(one.name for one, _ in fitting)}"
    progress.note(f"data set {source.name}, {why} here with the {len(classes)} classes of {model.name}")
    return source


def fitting_datasets(
    toolkit: Resources, outputs: int, names: Sequence[str]
) -> list[tuple[DatasetSource, tuple[str, ...]]]:
    """The data sets whose images a network can be measured on, with their classes, best first.

    Args:
        outputs: Number of outputs of the network; one more than classes if output 0 is unused.
        names: Its classes, if they are known.
    """
    known, found = {*names} - {""}, datasets_in_use(toolkit)
    if not known:
        return [(source, classes) for source, classes in found if len(classes) in (outputs, outputs - 1)]
    equal = [(source, classes) for source, classes in found if {*classes} == known]
    return equal or [(source, classes) for source, classes in found if {*classes} < known]


def datasets_in_use(toolkit: Resources) -> list[tuple[DatasetSource, tuple[str, ...]]]:
    """The data sets that may be used without being named, with their classes, without unreadable ones."""
    found = []
    for source in toolkit.data.sources():
        if source.rank < 0:
            continue
        try:
            found.append((source, toolkit.data.classes_of(source)))
        except ToolkitError:
            continue
    return found
