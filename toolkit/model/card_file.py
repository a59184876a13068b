"""The card beside a model's file, and how the two change together.

Two files cannot be replaced in one step, so the card keeps a journal. Where a model is
overwritten, the order is: the new model is written and verified under a staging name; a card that
holds the old card *and*, under ``next``, the new one is published; the model is moved into place;
the new card alone is published. Whichever of the two cards has the digest of the file that is
there is the file's card, so a reader has the old pair or the new pair at every instant, and a
process that is killed between two steps leaves nothing to repair. A model that is new has its card
published first, where a card without its model means nothing.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from toolkit.errors import DamagedFileError, MissingInputError, StorageError, UnreadableInputError
from toolkit.model.card import Card, parse_card
from toolkit.store.digest import file_sha256
from toolkit.store.faults import storage_error
from toolkit.store.file_state import FileState, state_of
from toolkit.store.locks import exclusive
from toolkit.store.publish import publish, publish_text

M = TypeVar("M")

_CARD = ".card.json"
_LARGEST_CARD = 16 << 20  # bytes
_ATTEMPTS = 20
_WAIT_S = 60.0


State = Literal["ok", "unknown", "damaged"]


@dataclass(frozen=True, slots=True)
class _Record:
    """What a card's file holds.

    Attributes:
        card: Of the file that was there first; None where only its digest is known.
        file_sha256: Of that file; empty where it is not known.
        next: Card of the file that is about to take its place, or has taken it.
    """

    card: Card | None
    file_sha256: str
    next: Card | None

    def of(self, digest: str) -> tuple[State, Card | None]:
        """How a file of this digest stands to the two, and its card."""
        if self.next is not None and self.next.file_sha256 == digest:
            return "ok", self.next
        if self.file_sha256 == digest:
            return "unknown" if self.card is None else "ok", self.card
        if self.next is None and not self.file_sha256:
            return "unknown", self.card
        return "damaged", self.card


def card_path(model_path: Path) -> Path:
    """Where a model's card stands, or would be written.

    ``<stem>.card.json``; where that is the card of another model with the same stem that is
    still there, ``<file name>.card.json``.

    Raises:
        StorageError: If a card that is there cannot be read.
    """
    long, short = _names(model_path)
    for path in (long, short):
        if _file_of(path) == model_path.name:
            return path
    other = _file_of(short)
    taken = other is not None and other != "" and model_path.with_name(other).exists()
    return long if taken else short


def read_card(model_path: Path) -> Card | None:
    """The card beside a model's file, without looking whether the file is damaged.

    Returns:
        None where there is no card.

    Raises:
        UnreadableInputError: If there is a file of the card's name that is no card.
        StorageError: If it cannot be read.
    """
    _, record = _read(model_path)
    if record is None or record.next is None:
        return None if record is None else record.card
    return _match(model_path)[1]


def checked_card(model_path: Path) -> Card | None:
    """The card beside a model's file, the file's bytes compared with the digest in it.

    Returns:
        None where there is no card; a card without a digest has nothing to be compared with.

    Raises:
        DamagedFileError: If the file is not the one that the card was written for.
        MissingInputError: If there is no such file.
        UnreadableInputError: If the card is no card.
        StorageError: If one of them cannot be read.
    """
    state, card = _match(model_path)
    if state == "damaged":
        raise DamagedFileError(
            f"{model_path}: its SHA-256 differs from the one in {card_path(model_path).name}",
            hint="bring back the file from a copy; if you replaced it on purpose, delete its card",
        )
    return card


def read_with_card(model_path: Path, read: Callable[[Path], M]) -> tuple[M, Card | None]:
    """Read a model and its checked card, both of one and the same file.

    Args:
        model_path: The model's file.
        read: Reads it; is called again if the file was replaced meanwhile.

    Returns:
        What was read, and the card as :func:`checked_card` gives it.

    Raises:
        DamagedFileError: If the file is not the one that the card was written for.
        MissingInputError: If there is no such file.
        UnreadableInputError: If the card is no card.
        StorageError: If one of them cannot be read, or is replaced again and again.
    """
    for _ in range(_ATTEMPTS):
        before = _file_state(model_path)
        card = checked_card(model_path)
        model = read(model_path)
        if _file_state(model_path) == before:
            return model, card
    raise _restless(model_path)


def verify_file(model_path: Path) -> Literal["ok", "unknown"]:
    """Compare a model's file with the digest in its card.

    Returns:
        ``unknown`` where there is no card with a digest.

    Raises:
        DamagedFileError: If they differ.
        MissingInputError: If there is no such file.
        UnreadableInputError: If the card is no card.
        StorageError: If one of them cannot be read.
    """
    card = checked_card(model_path)
    return "unknown" if card is None or not card.file_sha256 else "ok"


def write_card(model_path: Path, card: Card) -> Card:
    """Publish the card of a model's file that is there already.

    Returns:
        The card with the file's name and SHA-256 filled in.

    Raises:
        MissingInputError: If there is no such file.
        BusyError: If somebody else kept its card locked for a minute.
        StorageError: If the card cannot be written; the one before it is still there.
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

    Args:
        target: The model's file.
        write: Writes the model to the staging path that it is given, which does not exist yet.
        card: Of the new model, or what makes it once the model is written; file and file_sha256
            are filled in here.
        verify: Reads the staging file and raises if it is not what it should be.

    Returns:
        The card as it was published.

    Raises:
        BusyError: If somebody else kept the card locked for a minute.
        StorageError: If the operating system refuses; the old model and its card are still there.
    """
    with ExitStack() as until_the_end:
        complete: Card

        def announce(staging: Path) -> None:
            nonlocal complete
            if verify is not None:
                verify(staging)
            complete = _complete(card() if callable(card) else card, target, file_sha256(staging))
            until_the_end.enter_context(_locked(target))
            publish_text(card_path(target), _announcement(target, complete))

        with publish(target, verify=announce) as staging:
            write(staging)
        try:
            publish_text(card_path(target), complete.to_json())
        except StorageError:
            # The model is in place and its card stands in the journal: nothing is missing, and
            # whoever writes the card next tidies up.
            return complete
    return complete


def _announcement(target: Path, card: Card) -> str:
    """The card's file for the instants in which the model may be the old one or the new one."""
    try:
        state, old = _match(target)
        known = {} if state == "damaged" else {"file": target.name, "file_sha256": file_sha256(target)}
    except MissingInputError:
        return card.to_json()
    except UnreadableInputError:
        old, known = None, {"file": target.name, "file_sha256": file_sha256(target)}
    first: dict[str, Any] = (
        {"schema": card.schema, "unknown": True} if old is None else json.loads(old.to_json())
    )
    record = first | known | {"next": json.loads(card.to_json())}
    return json.dumps(record, ensure_ascii=False, indent=2) + "\n"


def _match(model_path: Path) -> tuple[State, Card | None]:
    """How a model's file stands to its card, and the card.

    The card is read before and after the file, for both may be replaced meanwhile: only a file
    that differs from a card that stood still is damaged.
    """
    before, record = _read(model_path)
    for _ in range(_ATTEMPTS):
        digest = file_sha256(model_path)
        found: tuple[State, Card | None] = ("unknown", None) if record is None else record.of(digest)
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
        hint="wait until whoever writes it has ended",
    )


def _file_state(path: Path) -> FileState:
    """What differs once a file has been replaced."""
    try:
        return state_of(path.stat())
    except FileNotFoundError as error:
        raise MissingInputError(f"{path}: there is no such file", hint="check the path") from error
    except OSError as error:
        raise storage_error(error, path, "could not be read") from error


def _names(model_path: Path) -> tuple[Path, Path]:
    return model_path.with_name(model_path.name + _CARD), model_path.with_name(model_path.stem + _CARD)


@contextmanager
def _locked(model_path: Path) -> Iterator[None]:
    """The lock on the card that models of one stem compete for."""
    with exclusive(_names(model_path)[1], wait_s=_WAIT_S):
        yield


def _complete(card: Card, model_path: Path, digest: str) -> Card:
    return dataclasses.replace(card, file=model_path.name, file_sha256=digest)


def _read(model_path: Path) -> tuple[bytes | None, _Record | None]:
    """The card's file as it is, and what it says; None where there is none of this model's."""
    path = card_path(model_path)
    text = _text(path)
    record = None if text is None else _parse(text, str(path))
    if record is None:
        return text, None
    card = record.next or record.card
    mine = card is None or card.file in ("", model_path.name)
    return text, record if mine else None


def _file_of(path: Path) -> str | None:
    """The file that a card says it is of; None where there is no card or none that can be read."""
    text = _text(path)
    if text is None:
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    name = data.get("file", "") if isinstance(data, dict) else None
    return name if isinstance(name, str) else None


def _text(path: Path) -> bytes | None:
    try:
        if path.stat().st_size > _LARGEST_CARD:
            raise UnreadableInputError(
                f"{path}: a card of {path.stat().st_size:,} bytes, {_LARGEST_CARD:,} at most are read",
                hint="delete it, or write it anew by training or merging",
            )
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise storage_error(error, path, "could not be read") from error


def _parse(text: bytes, where: str) -> _Record:
    card = parse_card(text, where)
    data = json.loads(text)
    following = data.get("next")
    return _Record(
        card=None if data.get("unknown") is True else card,
        file_sha256=card.file_sha256,
        next=None if following is None else parse_card(json.dumps(following), where),
    )
