"""Opening models: the file is compared with its card."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from toolkit.errors import MissingInputError, UnreadableInputError, UsageError, shortened, shown
from toolkit.host.read_model import read_model
from toolkit.merging.ingredients import unique_names
from toolkit.model import Model
from toolkit.model.card_file import read_with_card
from toolkit.model.heads import without_unused
from toolkit.operations.architectures import read_weights
from toolkit.operations.resources import Resources
from toolkit.store.limits import limited_to
from toolkit.store.opening import open_file
from toolkit.store.other_files import refuse_folder
from toolkit.tensors import FiniteTensors
from toolkit.vocabulary import Convention


def open_model(toolkit: Resources, path: Path, arch: str | None = None) -> Model:
    """Read a model file with its card; tensors are read when they are used.

    The card beside the file is preferred to the one inside it. Outputs that the card names "" stand
    for no class and are left out. A tensor with NaN or infinite values raises UnreadableInputError when
    it is read.

    Args:
        arch: Architecture of a file with weights only: a name, or the path of its JSON or of a model file;
            by default what is beside the file or in its card, see :func:`read_weights`.
    """
    model = open_whole(toolkit, path, arch)
    return without_unused(dataclasses.replace(model, tensors=FiniteTensors(model.tensors, model.name)))


def open_whole(toolkit: Resources, path: Path, arch: str | None = None) -> Model:
    """Read a model file as :func:`open_model`, with all outputs, as its digests have it."""
    refuse_folder(path)
    try:
        with open_file(path, follow_links=toolkit.follow_links):
            pass
    except MissingInputError as error:
        raise MissingInputError(
            f"{shortened(str(path), 300)}: no such model file",
            hint="`toolkit models find` lists the models",
        ) from error

    def read_checked(file: Path) -> Model:
        if toolkit.before_reading is not None:
            toolkit.before_reading(file)
        return read_model(toolkit.catalog, file, partial(read_weights, toolkit, file, arch))

    with limited_to(toolkit.max_size):
        model, beside = read_with_card(path, read_checked)
    card = model.card
    if beside is not None:
        card = dataclasses.replace(beside, architecture=beside.architecture or card.architecture)
    if card.classes and model.output_shape and len(card.classes) != model.classes:
        raise UnreadableInputError(
            f"{path}: the card names {len(card.classes)} classes, the network has {model.classes} outputs",
            hint="delete the card, or put the right one beside the model",
        )
    return model.with_card(card)


def described(
    model: Model, classes: Sequence[str], convention: Convention | None, where: str
) -> tuple[Model, tuple[str, ...]]:
    """Complete a model's card; also returns what was assumed, as sentences.

    ``classes``, characters by label and named ``where`` in messages, are for a card without classes;
    of a network with one output more, output 0 is left out. ``convention`` is preferred to the card's.
    """
    assumed: list[str] = []
    card = model.card
    names = card.classes
    if card.untrained and card.convention is None:
        assumed.append(f"{model.name} is untrained, as its card says")
    if not names:
        unused = model.classes - len(classes)
        if unused not in (0, 1):
            raise UnreadableInputError(
                f"{model.name} has {model.classes} outputs, {where} has {len(classes)} classes",
                hint="choose the data set that the model was trained on",
            )
        names = ("",) * unused + tuple(classes)
        without = ", output 0 is unused" if unused else ""
        assumed.append(f"{model.name} has no card: its classes are taken from {where}{without}")
    wanted = convention or card.convention
    if wanted is None:
        wanted = Convention()
        assumed.append(
            f"{model.name} has no card: input format {wanted} assumed "
            "(--convention sets another, `toolkit models adopt` finds it)"
        )
    complete = dataclasses.replace(card, classes=names, convention=wanted)
    return without_unused(model.with_card(complete)), tuple(assumed)


def stated_conventions(
    paths: Sequence[Path], convention: Convention | None, by_model: Mapping[str, Convention]
) -> list[Convention | None]:
    """What the user says about the pixels that each model expects; None for a model that is not mentioned.

    Args:
        convention: For all models.
        by_model: By path, file name or stem, or the name that :func:`unique_names` gives a model.

    Raises:
        UsageError: If a name is none of the models.
    """
    names = unique_names([path.parts for path in paths])
    stated = [convention] * len(paths)
    for key, own in by_model.items():
        known = zip(names, paths, strict=True)
        meant = [
            place
            for place, (name, path) in enumerate(known)
            if key in (name, path.name, path.stem) or Path(key) == path
        ]
        if not meant:
            hint = f"the models are {', '.join(names)}"
            raise UsageError(f"convention for {shown(key)}: no such model", hint=hint)
        for place in meant:
            stated[place] = own
    return stated
