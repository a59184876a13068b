"""The one place that opens files for reading: models, cards, reports, recipes.

Only regular files are opened, and small ones are read up to a limit. Nothing waits for a pipe or
reads a device.

A *path* is what the user of the command line or this toolkit names; links in it are followed. A
*name* is what a client of the HTTP API sends: one to four segments of letters, digits, ``.``,
``_`` and ``-``, each beginning with a letter or a digit. It is looked up below the roots, one
folder at a time, without following links, and no error about a name shows a folder of the machine.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, cast

from toolkit.errors import (
    MissingInputError,
    PlanRefusedError,
    StorageError,
    UnreadableInputError,
    UsageError,
    shortened,
)
from toolkit.records import dataclass
from toolkit.store.faults import close_quietly, storage_error
from toolkit.store.limits import LARGEST_DOCUMENT
from toolkit.vocabulary.figures import file_size

FileState = tuple[int, int, int, int]
"""Device, inode, size and modification time: differs once a file has changed, without reading it."""

_MOST_LEVELS = 200
"""Of nested arrays and objects in a document: every walk over one may recurse."""
_MOST_KEY_PARTS = 64
# The closing quotes may be missing, so that no text is scanned twice.
_TOML_TEXT = re.compile(
    r'"""(?:\\.|[^\\])*?(?:"{3,5}|\Z)'
    r"|'''.*?(?:'{3,5}|\Z)"
    r'|"(?:\\.|[^"\\\n])*"?'
    r"|'[^'\n]*'?|#[^\n]*",
    re.DOTALL,
)
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MOST_SEGMENTS = 4
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EMLINK, errno.EACCES, errno.EPERM, errno.ENXIO}
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def open_descriptor(path: Path, *, follow_links: bool = True) -> int:
    """Open a regular file for reading and return its descriptor; raises as :func:`open_file`."""
    descriptor = -1
    try:
        descriptor = os.open(path, _FILE if follow_links else _FILE | os.O_NOFOLLOW)
        kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
    except OSError as error:
        if descriptor >= 0:
            close_quietly(descriptor)
        raise _refusal(error, path, follow_links=follow_links) from error
    except ValueError as error:
        raise MissingInputError(
            f"{path}: no such file: a zero byte in its name", hint="check the path"
        ) from error
    if kind != stat.S_IFREG:
        close_quietly(descriptor)
        raise UnreadableInputError(
            f"{path}: {_KINDS.get(kind, 'a device')}, not a file", hint="name a regular file"
        )
    return descriptor


@contextmanager
def open_file(path: Path, *, follow_links: bool = True) -> Iterator[BufferedReader]:
    """Open a regular file for reading.

    With ``follow_links=False``, a path that is a link itself is refused.

    Raises:
        MissingInputError: If there is no such file.
        UnreadableInputError: If it is no regular file, or permission is missing.
        StorageError: If the operating system refuses for another reason, also while it is read.
    """
    descriptor = open_descriptor(path, follow_links=follow_links)
    try:
        yield os.fdopen(descriptor, "rb", closefd=False)
    except OSError as error:
        raise _refusal(error, path) from error
    finally:
        close_quietly(descriptor)


def real_path(path: Path) -> Path:
    """The path without links, as far as they lead; a link that leads to itself stays."""
    # Path.resolve raises a RuntimeError for it.
    return Path(os.path.realpath(path))


def read_file(path: Path, *, most: int = LARGEST_DOCUMENT, follow_links: bool = True) -> bytes:
    """Read a regular file of at most ``most`` bytes; raises as :func:`open_file`, and if it is larger."""
    with open_file(path, follow_links=follow_links) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise UnreadableInputError(
            f"{path}: larger than the limit of {file_size(most)}", hint="move it away or name another file"
        )
    return content


def file_sha256(path: Path) -> str:
    """SHA-256 over a file's bytes, 64 hexadecimal digits; raises as :func:`open_file`."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def state_of(status: os.stat_result) -> FileState:
    """The state of a file from its status."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def file_state(path: Path) -> FileState | None:
    """The state of a file, or of a link itself; None if there is none."""
    try:
        return state_of(os.lstat(path))
    except OSError:
        return None


def parse_json(content: bytes | str, where: str) -> Any:
    """Parse JSON as :func:`decode_json` does.

    Raises:
        UnreadableInputError: If it is not JSON; names ``where`` it is from.
    """
    try:
        return decode_json(content)
    except ValueError as error:
        raise UnreadableInputError(f"{where}: not valid JSON: {error}", hint="check the file") from error


def decode_json(content: bytes | str) -> Any:
    """Parse JSON strictly: UTF-8, no ``NaN`` or ``Infinity``, no number out of range, at most 200 levels.

    Raises:
        ValueError: If it is not JSON; names a number that strict JSON does not have.
    """
    import msgspec

    try:
        return _of_few_levels(msgspec.json.decode(content))
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ValueError(_refused_number(content) or str(error)) from error


def _refused_number(content: bytes | str) -> str:
    """What is wrong with the first number that Python's parser takes and strict JSON does not have."""
    import json

    wrong: list[str] = []

    def constant(text: str) -> None:
        wrong.append(f"{text} is not a number in JSON")

    def number(text: str) -> None:
        if math.isinf(float(text)):
            wrong.append(f"{shortened(text)} is out of range")

    with suppress(ValueError, RecursionError):
        json.loads(content, parse_constant=constant, parse_float=number)
    return wrong[0] if wrong else ""


def is_nested_deeper(value: Any, levels: int) -> bool:
    """Whether lists and dictionaries are nested in more levels than these; does not recurse."""
    parts = [value]
    for _ in range(levels):
        holders = [part for part in parts if isinstance(part, dict | list)]
        parts = [item for part in holders for item in (part.values() if isinstance(part, dict) else part)]
    return any(isinstance(part, dict | list) for part in parts)


def _of_few_levels(document: Any) -> Any:
    if is_nested_deeper(document, _MOST_LEVELS):
        raise ValueError(f"nested deeper than {_MOST_LEVELS} levels")
    return document


def parse_toml(content: bytes) -> dict[str, Any]:
    """Parse TOML in UTF-8.

    Raises:
        ValueError: If it is not TOML, or is nested too deep. ``tomllib`` needs memory for the square of
            the number of parts of a dotted key, so longer keys are refused before.
    """
    import tomllib

    text = content.decode()
    if any(part.count(".") > _MOST_KEY_PARTS for part in re.split(r"[\n=,\[{]", _TOML_TEXT.sub("_", text))):
        raise ValueError(f"a key has more than {_MOST_KEY_PARTS} parts")
    try:
        return cast("dict[str, Any]", _of_few_levels(tomllib.loads(text)))
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def card_paths(model: Path) -> tuple[Path, Path]:
    """Where a model's card may be: ``<file name>.card.json`` or ``<stem>.card.json``."""
    return model.with_name(f"{model.name}.card.json"), model.with_name(f"{model.stem}.card.json")


def file_of_card(card: Path, *, follow_links: bool = False) -> str | None:
    """The file name in a card; None if there is no card or it cannot be read."""
    try:
        data = parse_json(read_file(card, follow_links=follow_links), card.name)
    except (MissingInputError, UnreadableInputError):
        return None
    name = data.get("file", "") if isinstance(data, dict) else None
    return name if isinstance(name, str) and name == Path(name).name else None


@dataclass(frozen=True)
class ConfinedFile:
    """A file that a name led to, held open; ``path`` is below one of the roots."""

    path: Path
    state: FileState

    def is_still_there(self) -> bool:
        """Whether the path still leads to this file, so that what was read by path was this file."""
        return file_state(self.path) == self.state


def _is_name(name: str) -> bool:
    segments = name.split("/")
    return len(segments) <= _MOST_SEGMENTS and all(_SEGMENT.fullmatch(segment) for segment in segments)


def name_of(path: Path, roots: Sequence[Path]) -> str | None:
    """The name by which :func:`open_confined` finds a file; None if it has none.

    It begins with the root's own name, as in ``models/emnist_model.h5``.
    """
    for root in roots:
        if path.is_relative_to(root):
            name = "/".join((_own_name(root), *path.relative_to(root).parts))
            return name if _is_name(name) else None
    return None


@contextmanager
def open_confined(name: str, roots: Sequence[Path]) -> Iterator[ConfinedFile]:
    """Open the file that a name leads to: regular, with one hard link, reached without following a link.

    Args:
        name: A first segment that is a root's own name may be left out.
        roots: Folders to search in this order; missing ones are skipped.

    Raises:
        UsageError: If it is no name.
        MissingInputError: If there is no such file.
    """
    for root, segments in _places(name, roots):
        descriptor = _open_below(root, segments)
        if descriptor is None:
            continue
        try:
            status = os.fstat(descriptor)
            if _is_single_file(status):
                yield ConfinedFile(root.joinpath(*segments), state_of(status))
                return
        finally:
            os.close(descriptor)
    raise MissingInputError(f"there is no {name}", hint="get the list of models")


def output_path(name: str, roots: Sequence[Path]) -> Path:
    """Where an output goes: a path below a root where nothing exists, or a file that this toolkit wrote.

    Raises:
        UsageError: If it is no name.
        PlanRefusedError: If it is a link, a folder, or a file that this toolkit did not write.
    """
    root, segments = next(_places(name, roots))
    folder = root
    for segment in segments[:-1]:
        folder = folder / segment
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise PlanRefusedError(f"{name}: {segment} is not a folder", hint="choose another output name")
    path = root.joinpath(*segments)
    try:
        named = [file_of_card(card) for card in card_paths(path)]
        ours = _is_single_file(path.lstat()) and path.name in named
    except FileNotFoundError:
        return path
    except OSError as error:
        raise StorageError(f"{name} cannot be written", hint="choose another output name") from error
    if not ours:
        raise PlanRefusedError(
            f"{name} exists and was not written by this toolkit", hint="choose another output name"
        )
    return path


def _refusal(
    error: OSError, path: Path, *, follow_links: bool = True
) -> MissingInputError | UnreadableInputError | StorageError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return MissingInputError(f"{path}: no such file", hint="check the path")
    if error.errno == errno.ENAMETOOLONG:
        return MissingInputError(f"{shortened(str(path))}: {error.strerror}", hint="check the path")
    if error.errno in (errno.EACCES, errno.EPERM):
        return UnreadableInputError(f"{path}: Permission denied", hint="change its permissions")
    if error.errno in (errno.ELOOP, errno.EMLINK):
        if follow_links:
            return UnreadableInputError(
                f"{path}: a link that leads to itself, or through too many others", hint="remove the link"
            )
        return UnreadableInputError(f"{path}: a link that is not followed", hint="replace it by a copy")
    if error.errno == errno.ENXIO:
        return UnreadableInputError(f"{path}: a socket or device, not a file", hint="name a regular file")
    return storage_error(error, path, "could not be read")


def _own_name(root: Path) -> str:
    return root.name or root.resolve().name


def _places(name: str, roots: Sequence[Path]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Each place that a name may mean: first below the root that it begins with, then below all."""
    if not _is_name(name):
        raise UsageError(
            "a name has one to four parts of letters, digits, '.', '_' and '-', "
            "each beginning with a letter or a digit",
            hint="send a name from the list of models, not a path",
        )
    segments = tuple(name.split("/"))
    for root in roots:
        if len(segments) > 1 and segments[0] == _own_name(root):
            yield root, segments[1:]
    for root in roots:
        yield root, segments


def _open_below(root: Path, segments: Sequence[str]) -> int | None:
    """Open from folder to folder without following links; None if there is no such file."""
    with ExitStack() as folders:
        try:
            # The root is the owner's choice and may itself be a link.
            folder = os.open(root, _FOLDER)
            folders.callback(os.close, folder)
            for segment in segments[:-1]:
                folder = os.open(segment, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
                folders.callback(os.close, folder)
            return os.open(segments[-1], _FILE | os.O_NOFOLLOW, dir_fd=folder)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise StorageError("a file could not be opened", hint="see the server's log") from error


def _is_single_file(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1
