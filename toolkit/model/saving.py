"""The one way to save a model: staged, read back, compared, and published with its card."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

from toolkit.errors import ProofError, ToolkitError, UsageError
from toolkit.model.card import Card
from toolkit.model.card_file import card_path, checked_card, publish_model, read_card
from toolkit.model.model import Model
from toolkit.tensors import RecordedTensors, weights_digest


def check_output(target: Path, *, is_default: bool, force: bool, option: str = "--out") -> Card | None:
    """Refuse to save a model in the place of a file of the user's.

    A verb's default output is replaced if this toolkit wrote it, another one only with ``force``.
    ``option`` is the one that names another output.

    Returns:
        The card of the default output that would be replaced.

    Raises:
        UsageError: If the file exists and must not be replaced, or a card without it cannot be.
        DamagedFileError: If it is the default output and differs from its card.
    """
    if target.is_dir():
        raise UsageError(f"{target} is a folder", hint=f"choose another {option}")
    if force:
        return None
    hint = f"choose another {option}, or replace it with --force"
    if not os.path.lexists(target):
        try:  # a damaged card that its model has left behind would stop the verb after its work
            read_card(target)
        except ToolkitError as error:
            what = f"{card_path(target)}: a card without its model that cannot be replaced: {error.message}"
            raise UsageError(what, hint=f"delete it, or choose another {option}") from error
        return None
    if not is_default or not target.is_file():  # a link to nothing is the user's, too
        raise UsageError(f"{target}: exists already", hint=hint)
    card = checked_card(target)
    if card is None:
        raise UsageError(
            f"{target}: exists and was not written by this toolkit", hint=f"move it away, {hint}"
        )
    return card


def save_model(
    model: Model, target: Path, *, write: Callable[[Model, Path], None], read: Callable[[Path], Model]
) -> Card:
    """Save a model with its card; each tensor is read, or computed, once.

    Args:
        model: Its card is completed. A ``weights_digest`` in it must be that of the tensors.
        target: The model's file; replaced if it exists.
        write: A format's writer.
        read: The same format's reader, which reads the file back before it is published.

    Returns:
        The published card.

    Raises:
        ProofError: If the file reads back with other weights than the model or its card has;
            nothing is published then.
        BusyError: If another process kept the card locked for a minute.
        StorageError: If the disk refuses; the old model and its card are kept.
    """

    def write_and_digest(staging: Path) -> str:
        recorded = RecordedTensors(model.tensors)
        write(dataclasses.replace(model, tensors=recorded, card=model.card.stamped().embedded()), staging)
        return recorded.weights_digest()

    return save_written(target, model.card, write=write_and_digest, read=read)


def save_written(
    target: Path,
    card: Card | Callable[[], Card],
    *,
    write: Callable[[Path], str],
    read: Callable[[Path], Model] | None,
) -> Card:
    """Save what a function writes, which need not be a :class:`Model`: a Keras network, an export.

    Arguments, return value and errors are those of :func:`save_model`, except:

    Args:
        card: If it is a function, it is called after ``write``.
        write: Writes to the staging path and returns the weights digest that the file must have; "" if
            only the file itself tells it.
        read: None for a file that only its own program reads.
    """
    expected, complete = "", Card()

    def write_staging(staging: Path) -> None:
        nonlocal expected, complete
        expected = write(staging)
        complete = (card() if callable(card) else card).stamped()
        if complete.weights_digest not in ("", expected):
            raise ProofError(
                f"{target} was not saved: its card was made for other weights", hint="report this"
            )

    def verify(staging: Path) -> None:
        nonlocal expected
        if read is None:
            return
        try:
            found = weights_digest(read(staging).tensors)
        except ToolkitError as error:
            raise ProofError(
                f"{target} was not saved: it cannot be read back: {error.message}", hint="report this"
            ) from error
        expected = expected or found
        if found != expected:
            raise ProofError(
                f"{target} was not saved: its weights read back differently",
                hint="try again, or choose another format or disk",
            )

    return publish_model(
        target, write_staging, lambda: dataclasses.replace(complete, weights_digest=expected), verify
    )
