"""From a path to a model whose file is what its card says."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from toolkit.errors import MissingInputError, UnreadableInputError
from toolkit.model import Card, Model
from toolkit.model.card_file import read_with_card
from toolkit.operations.toolkit import Toolkit
from toolkit.vocabulary import Convention


def open_model(toolkit: Toolkit, path: Path) -> Model:
    """Read a model file with its card.

    The card beside the file is preferred to the one inside it.

    Args:
        toolkit: Where formats come from.
        path: Of the file; its suffix chooses the format.

    Returns:
        The model; its tensors are read when they are asked for.

    Raises:
        MissingInputError: If there is no such file.
        DamagedFileError: If the file is not the one that its card was written for.
        UnreadableInputError: If it may not be read, is no model, or its card does not fit it.
    """
    if not path.is_file():
        what = "a folder, not a model file" if path.is_dir() else "no such model file"
        raise MissingInputError(
            f"{path}: {what}", hint="`toolkit models find` lists the models that are here"
        )
    if not os.access(path, os.R_OK):
        raise UnreadableInputError(f"{path}: Permission denied", hint="change its permissions")
    read = toolkit.catalog.format_of(path).read

    def read_tried(file: Path) -> Model:
        if toolkit.before_reading is not None:
            toolkit.before_reading(file)
        return read(file)

    model, beside = read_with_card(path, read_tried)
    card = beside if beside is not None else model.card
    _check(card, model, path)
    return model.with_card(card)


def described(
    model: Model, classes: Sequence[str], convention: Convention | None, where: str
) -> tuple[Model, tuple[str, ...]]:
    """Complete a model's card with what its user or a data set knows.

    Args:
        model: Perhaps somebody else's, without a card.
        classes: Characters by label, of the data set at hand; taken where the card has none and
            the number fits.
        convention: What the user says; it goes before the card.
        where: For the error message: where the classes come from.

    Returns:
        The model with classes and convention known, and what was assumed, as sentences.

    Raises:
        UnreadableInputError: If the number of outputs and of classes differ.
    """
    assumed: list[str] = []
    card: Card = model.card
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
        assumed.append(
            f"{model.name} has no card: its pixels are taken to be {wanted}; --convention says otherwise"
        )
    return model.with_card(_with(card, names, wanted)), tuple(assumed)


def _with(card: Card, classes: tuple[str, ...], convention: Convention) -> Card:
    return dataclasses.replace(card, classes=classes, convention=convention)


def _check(card: Card, model: Model, path: Path) -> None:
    if card.classes and len(card.classes) != model.classes:
        raise UnreadableInputError(
            f"{path}: the card names {len(card.classes)} classes, the network has {model.classes} outputs",
            hint="delete the card, or put the right one beside the model",
        )
