"""From a name that a stranger sent to a file of ours: the one place where that happens.

A name is one to four segments of letters, digits, ``.``, ``_`` and ``-``, each beginning with a
letter or a digit. It is looked up below the roots, one folder at a time, each opened from the one
before without following links. No error names a folder of the machine's.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import MissingInputError, PlanRefusedError, StorageError, UsageError
from toolkit.store.file_state import FileState, file_state, state_of

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MOST_SEGMENTS = 4
_LARGEST_CARD = 16 << 20  # bytes
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EMLINK, errno.EACCES, errno.EPERM, errno.ENXIO}
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class ConfinedFile:
    """A file that a name led to, held open.

    Attributes:
        path: Below one of the roots.
        descriptor: Open for reading.
    """

    path: Path
    descriptor: int

    @property
    def identity(self) -> FileState:
        """Differs once the file is another."""
        return state_of(os.fstat(self.descriptor))

    def is_still_there(self) -> bool:
        """Whether the path still leads to this very file, so that what was read by path was it."""
        return file_state(self.path) == self.identity


def is_name(name: str) -> bool:
    """Whether a text can be the name of a file of ours."""
    segments = name.split("/")
    return len(segments) <= _MOST_SEGMENTS and all(_SEGMENT.fullmatch(segment) for segment in segments)


def name_of(path: Path, roots: Sequence[Path]) -> str | None:
    """The name by which :func:`resolve_name` finds a file; None if it has none.

    It begins with the root's own name, as ``models/emnist_model.h5``, so that a person reads it as
    a path in the workspace.

    Args:
        path: Below one of the roots.
        roots: The roots, each in the spelling that the path begins with.
    """
    for root in roots:
        if path.is_relative_to(root):
            name = "/".join((_own_name(root), *path.relative_to(root).parts))
            return name if is_name(name) else None
    return None


@contextmanager
def open_confined(name: str, roots: Sequence[Path]) -> Iterator[ConfinedFile]:
    """Open the file that a name leads to.

    Args:
        name: As a client sent it; a first segment that is a root's own name may be left out.
        roots: Folders that may be looked into, in this order; what is not there is passed over.

    Yields:
        A regular file with one hard link, below a root, reached without following a link.

    Raises:
        UsageError: If it is no name.
        MissingInputError: If there is no such file, or it is not to be opened.
    """
    for root, segments in _places(name, roots):
        descriptor = _open(root, segments)
        if descriptor is None:
            continue
        try:
            yield ConfinedFile(root.joinpath(*segments), descriptor)
        finally:
            os.close(descriptor)
        return
    raise MissingInputError(f"there is no {name}", hint="ask for the list of the models that are here")


def resolve_name(name: str, roots: Sequence[Path]) -> Path:
    """The path that a name leads to, after the checks of :func:`open_confined`.

    Raises:
        UsageError: If it is no name.
        MissingInputError: If there is no such file, or it is not to be opened.
    """
    with open_confined(name, roots) as file:
        return file.path


def output_path(name: str, roots: Sequence[Path], *, card_of: str = ".card.json") -> Path:
    """Where an output of this name goes: below the first root that the name fits.

    Args:
        name: As a client sent it.
        roots: Folders that may be written to, in this order.
        card_of: What the toolkit writes beside each file of its own.

    Returns:
        A path of which nothing is there, or a file that the toolkit wrote.

    Raises:
        UsageError: If it is no name.
        PlanRefusedError: If there is a file that the toolkit did not write, a folder or a link.
        StorageError: If a folder on the way cannot be used.
    """
    root, segments = next(iter(_places(name, roots)))
    path = root.joinpath(*segments)
    _check_folders(root, segments[:-1], name)
    try:
        status = path.lstat()
    except FileNotFoundError:
        return path
    except OSError as error:
        raise StorageError(f"{name} cannot be written", hint="choose another name") from error
    cards = (path.with_name(path.name + card_of), path.with_name(path.stem + card_of))
    if not _is_ours(status) or not any(_names_file(card, path.name) for card in cards):
        raise PlanRefusedError(
            f"{name} is there and was not written by this toolkit", hint="choose another name for the output"
        )
    return path


def _own_name(root: Path) -> str:
    return root.name or root.resolve().name


def _places(name: str, roots: Sequence[Path]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Each place that a name may mean: first below the root that it begins with, then below all."""
    if not is_name(name):
        raise UsageError(
            "a name has one to four parts of letters, digits, '.', '_' and '-', "
            "each beginning with a letter or a digit",
            hint="send a name from the list of models, no path",
        )
    segments = tuple(name.split("/"))
    for root in roots:
        if len(segments) > 1 and segments[0] == _own_name(root):
            yield root, segments[1:]
    for root in roots:
        yield root, segments


def _open(root: Path, segments: tuple[str, ...]) -> int | None:
    """Walk from the root to the file, one folder at a time; None if nothing of ours is there."""
    try:
        # The root is the owner's choice and may itself be a link.
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        _raise_unless_missing(error)
        return None
    try:
        for segment in segments[:-1]:
            inner = os.open(segment, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        file = os.open(segments[-1], _FILE, dir_fd=folder)
    except OSError as error:
        _raise_unless_missing(error)
        return None
    finally:
        os.close(folder)
    if not _is_ours(os.fstat(file)):
        os.close(file)
        return None
    return file


def _names_file(card: Path, name: str) -> bool:
    """Whether there is a card that says it is this file's."""
    try:
        if card.lstat().st_size > _LARGEST_CARD:
            return False
        data = json.loads(card.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(data, dict) and data.get("file") == name


def _is_ours(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def _raise_unless_missing(error: OSError) -> None:
    if error.errno not in _NOT_THERE:
        raise StorageError("a file could not be opened", hint="see the server's log") from error


def _check_folders(root: Path, segments: tuple[str, ...], name: str) -> None:
    folder = root
    for segment in segments:
        folder = folder / segment
        try:
            status = folder.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(status.st_mode):
            raise PlanRefusedError(
                f"{name}: {segment} is no folder", hint="choose another name for the output"
            )
