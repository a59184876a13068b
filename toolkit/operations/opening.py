"""Opening models: the file is compared with its card."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from toolkit.errors import MissingInputError, UnreadableInputError
from toolkit.model import Model
from toolkit.model.card_file import read_with_card
from toolkit.operations.resources import Resources
from toolkit.store.opening import open_file
from toolkit.vocabulary import Convention


def open_model(toolkit: Resources, path: Path) -> Model:
    """Read a model file with its card; tensors are read when they are used.

    The card beside the file is preferred to the one inside it.

    Raises:
        MissingInputError: If there is no such file.
        DamagedFileError: If the file is not the one that its card was written for.
        UnreadableInputError: If it cannot be opened, is no model, or its card does not fit it.
    """
    try:
        with open_file(path, follow_links=toolkit.follow_links):
            pass
    except MissingInputError as error:
        raise MissingInputError(
            f"{path}: no such model file", hint="`toolkit models find` lists the models"
        ) from error
    read = toolkit.catalog.format_of(path).read

    def read_checked(file: Path) -> Model:
        if toolkit.before_reading is not None:
            toolkit.before_reading(file)
        return read(file)

    model, beside = read_with_card(path, read_checked)
    card = beside if beside is not None else model.card
    if card.classes and len(card.classes) != model.classes:
        raise UnreadableInputError(
            f"{path}: the card names {len(card.classes)} classes, the network has {model.classes} outputs",
            hint="delete the card, or put the right one beside the model",
        )
    return model.with_card(card)


def described(
    model: Model, classes: Sequence[str], convention: Convention | None, where: str
) -> tuple[Model, tuple[str, ...]]:
    """Complete a model's card with a data set's classes and the user's convention.

    Args:
        model: May have no card.
        classes: Characters by label; used if the card has none.
        convention: Preferred to the card's.
        where: The source of the classes, for messages.

    Returns:
        The model with classes and convention, and what was assumed, as sentences.

    Raises:
        UnreadableInputError: If the numbers of outputs and of classes differ.
    """
    assumed: list[str] = []
    card = model.card
    names = card.classes
    if not names:
        if len(classes) != model.classes:
            raise UnreadableInputError(
                f"{model.name} has {model.classes} outputs, {where} has {len(classes)} classes",
                hint="choose the data set that the model was trained on",
            )
        names = tuple(classes)
        assumed.append(f"{model.name} has no card: its classes are taken from {where}")
    wanted = convention or card.convention
    if wanted is None:
        wanted = Convention()
        assumed.append(f"{model.name} has no card: input format {wanted} assumed (--convention sets another)")
    complete = dataclasses.replace(card, classes=names, convention=wanted)
    return model.with_card(complete), tuple(assumed)
