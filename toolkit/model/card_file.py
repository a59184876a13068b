"""The card beside a model's file, and how the two change together.

Two files cannot be replaced in one step, so the card keeps a journal. A model is overwritten in
this order: the new model is written and verified under a staging name; a card with the old card
*and*, under ``next``, the new one is published; the model is moved into place; the new card alone
is published. The file's card is the one with the file's digest, so a reader has the old pair or the
new pair at every instant, and a process that is killed between two steps leaves nothing to repair.
The card of a new model is published first; a card without its model means nothing.

The card of a regular file must be a regular file itself; only beside a model that is a link is a
link to a card followed.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Literal, TypeVar

from toolkit.errors import DamagedFileError, MissingInputError, StorageError, UnreadableInputError, shown
from toolkit.model.card import Card, parse_card
from toolkit.records import dataclass
from toolkit.store.locks import exclusive
from toolkit.store.opening import (
    FileState,
    card_paths,
    file_of_card,
    file_sha256,
    open_file,
    parse_json,
    read_file,
    state_of,
)
from toolkit.store.publish import publish, publish_text

M = TypeVar("M")
State = Literal["ok", "unknown", "damaged"]

_ATTEMPTS = 20
_WAIT_S = 60.0


@dataclass(frozen=True)
class _Record:
    """What a card's file holds."""

    card: Card | None
    """Of the earlier file; None if only its digest is known."""
    file_sha256: str
    """Of the earlier file; empty if unknown."""
    next: Card | None
    """Of the file that is about to replace it, or has replaced it."""

    def of(self, digest: str) -> tuple[State, Card | None]:
        """The state and the card of a file with this digest."""
        if self.next is not None and self.next.file_sha256 == digest:
            return "ok", self.next
        if self.file_sha256 == digest:
            return "unknown" if self.card is None else "ok", self.card
        if self.next is None and not self.file_sha256:
            return "unknown", self.card
        return "damaged", self.card


def card_path(model_path: Path) -> Path:
    """Where a model's card is, or would be written.

    ``<stem>.card.json``; where that is the card of another model with the same stem that still
    exists, ``<file name>.card.json``.
    """
    long, short = card_paths(model_path)
    follow_links = _is_link(model_path)
    if file_of_card(long, follow_links=follow_links) == model_path.name:
        return long
    other = file_of_card(short, follow_links=follow_links)
    taken = other and other != model_path.name and model_path.with_name(other).exists()
    return long if taken else short


def read_card(model_path: Path) -> Card | None:
    """The card beside a model's file, if there is one; not compared with the file if it is up to date.

    Raises:
        UnreadableInputError: If the card cannot be used.
    """
    _, record = _read(model_path)
    if record is None or record.next is None:
        return None if record is None else record.card
    return _match(model_path)[1]


def checked_card(model_path: Path) -> Card | None:
    """The card beside a model's file, after comparing the file with the digest in it; None without a card.

    A card without a digest is returned as it is.

    Raises:
        DamagedFileError: If the file is not the one that the card was written for.
        UnreadableInputError: If the file or the card cannot be used.
    """
    state, card = _match(model_path)
    if state == "damaged":
        raise DamagedFileError(
            f"{model_path}: its SHA-256 differs from the one in {card_path(model_path).name}",
            hint="restore the file from a copy; if you replaced it on purpose, delete its card",
        )
    return card


def read_with_card(model_path: Path, read: Callable[[Path], M]) -> tuple[M, Card | None]:
    """Read a model and its :func:`checked_card`, both of one and the same file.

    ``read`` is called again if the file was replaced meanwhile.

    Raises as :func:`checked_card`, and a StorageError if the file is replaced again and again.
    """
    for _ in range(_ATTEMPTS):
        before = _file_state(model_path)
        card = checked_card(model_path)
        model = read(model_path)
        if _file_state(model_path) == before:
            return model, card
    raise _restless(model_path)


def write_card(model_path: Path, card: Card) -> Card:
    """Publish the card of an existing model file; returns it with the file's name and SHA-256.

    Raises:
        BusyError: If another process kept the card locked for a minute.
        StorageError: If the card cannot be written; the one before it is kept.
    """
    with _locked(model_path):
        complete = _complete(card, model_path, file_sha256(model_path))
        publish_text(card_path(model_path), complete.to_json())
    return complete


def publish_model(
    target: Path,
    write: Callable[[Path], None],
    card: Card | Callable[[], Card],
    verify: Callable[[Path], None] | None = None,
) -> Card:
    """Replace a model's file and its card by new ones, both or neither.

    :mod:`toolkit.model.saving` adds the comparison of weights.

    Args:
        target: The model's file.
        write: Writes the model to the staging path that it is given, which does not exist yet.
        card: Of the new model, or a function that makes it after ``verify``.
        verify: Reads the staging file and raises if it is wrong.

    Returns:
        The published card, with the file's name and SHA-256.

    Raises:
        BusyError: If another process kept the card locked for a minute.
        StorageError: If the disk refuses; the old model and its card are kept.
    """
    with ExitStack() as until_the_end:
        complete: Card
        announced = ""

        def announce(staging: Path) -> None:
            nonlocal complete, announced
            if verify is not None:
                verify(staging)
            complete = _complete(card() if callable(card) else card, target, file_sha256(staging))
            until_the_end.enter_context(_locked(target))
            announced = _announcement(target, complete)
            publish_text(card_path(target), announced)

        with publish(target, verify=announce) as staging:
            write(staging)
        try:
            if announced != complete.to_json():
                publish_text(card_path(target), complete.to_json())
        except StorageError:
            # The model is in place and its card is in the journal: nothing is missing. The next
            # card that is written replaces the journal.
            return complete
    return complete


def _announcement(target: Path, card: Card) -> str:
    """The text of the journal, for the moments in which the file may be the old or the new one."""
    try:
        digest = file_sha256(target)
    except (MissingInputError, UnreadableInputError):
        return card.to_json()  # new, or in the place of a link to nothing
    try:
        _, written = _read(target)
    except UnreadableInputError:
        written = None
    state, old = ("unknown", None) if written is None else written.of(digest)
    first: dict[str, Any] = (
        {"schema": card.schema, "unknown": True} if old is None else json.loads(old.to_json())
    )
    known = {} if state == "damaged" else {"file": target.name, "file_sha256": digest}
    record = first | known | {"next": json.loads(card.to_json())}
    return json.dumps(record, ensure_ascii=False, indent=2) + "\n"


def _match(model_path: Path) -> tuple[State, Card | None]:
    """The state of a model's file, and its card.

    The card is read before and after the file, since both may be replaced meanwhile: a file is
    damaged only if it differs from a card that did not change.
    """
    before, record = _read(model_path)
    for _ in range(_ATTEMPTS):
        found: tuple[State, Card | None] = ("unknown", None)
        if record is None:
            _file_state(model_path)  # raises if there is no such file
        else:
            found = record.of(file_sha256(model_path))
        if found[0] == "ok":
            return found
        after, record = _read(model_path)
        if after == before:
            return found
        before = after
    raise _restless(model_path)


def _restless(model_path: Path) -> StorageError:
    return StorageError(
        f"{model_path}: it and its card were replaced again and again while they were read",
        hint="wait until the other process has finished",
    )


def _file_state(path: Path) -> FileState:
    """Differs once the file has been replaced."""
    with open_file(path) as file:
        return state_of(os.fstat(file.fileno()))


def _locked(model_path: Path) -> AbstractContextManager[None]:
    """The lock on the card that models of one stem compete for."""
    return exclusive(card_paths(model_path)[1], wait_s=_WAIT_S)


def _complete(card: Card, model_path: Path, digest: str) -> Card:
    return dataclasses.replace(card, file=model_path.name, file_sha256=digest)


def _read(model_path: Path) -> tuple[bytes | None, _Record | None]:
    """The bytes of the card's file and what they say; None if there is none of this model."""
    path = card_path(model_path)
    try:
        text = read_file(path, follow_links=_is_link(model_path))
    except MissingInputError:
        return None, None
    record = _parse(text, str(path))
    card = record.next or record.card
    return text, record if card is None or card.file in ("", model_path.name) else None


def _is_link(path: Path) -> bool:
    # Not Path.is_symlink, which raises what the disk reports.
    return os.path.islink(path)  # noqa: PTH114


def _parse(text: bytes, where: str) -> _Record:
    data = parse_json(text, where)
    card = parse_card(text, where)
    if card.file != Path(card.file).name:
        raise UnreadableInputError(
            f"{where}: its file is {shown(card.file)}, not a file name", hint="delete the card"
        )
    following = data.get("next")
    return _Record(
        card=None if data.get("unknown") is True else card,
        file_sha256=card.file_sha256,
        next=None if following is None else parse_card(json.dumps(following), where),
    )
