"""What a cached part of a data set was made from."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from toolkit.declarations import DatasetLoader, DatasetSource
from toolkit.errors import MissingInputError, UnreadableInputError

_ENDS = 64 * 1024
_BETWEEN = 32
_PIECE = 4 * 1024


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Tells one state of one part of a data set from every other.

    Attributes:
        title: For people who look into the cache: loader, name, part.
        place: Digest of where it comes from; the same for every state of the same files.
        state: Digest of everything: a change in any of it makes another state.
    """

    title: str
    place: str
    state: str


def fingerprint(source: DatasetSource, part: Literal["train", "test"], loader: DatasetLoader) -> Fingerprint:
    """Fingerprint one part of a source.

    The state covers, for each file that the part is read from, its path, size, times of
    modification and of change of status, and sampled content: the first and the last 64 KiB and
    32 pieces of 4 KiB evenly between. It also covers the loader's own code, so that what a
    mended reader would read otherwise is read again. This takes a few milliseconds, whatever
    the size of the files.

    Raises:
        MissingInputError: A file is no longer there.
        UnreadableInputError: A file cannot be read.
    """
    other = "test" if part == "train" else "train"
    files = {role: path for role, path in sorted(source.files.items()) if role.partition("-")[0] != other}
    place = [loader.name, source.name, part, {role: str(path.absolute()) for role, path in files.items()}]
    state = [place, _code_of(loader), {role: _state_of(path) for role, path in files.items()}]
    return Fingerprint(f"{loader.name}-{source.name}-{part}", _digest(place), _digest(state))


def _state_of(path: Path) -> list[int | str]:
    try:
        with path.open("rb") as file:
            status = path.stat()
            content = hashlib.sha256()
            for piece in _samples(file, status.st_size):
                content.update(piece)
    except FileNotFoundError as error:
        raise MissingInputError(f"{path}: there is no such file") from error
    except OSError as error:
        raise UnreadableInputError(f"{path}: cannot be read: {error.strerror or error}") from error
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, content.hexdigest()]


def _samples(file: BinaryIO, size: int) -> list[bytes]:
    if size <= 2 * _ENDS + _BETWEEN * _PIECE:
        return [file.read(size)]
    pieces = [file.read(_ENDS)]
    for number in range(1, _BETWEEN + 1):
        file.seek(size * number // (_BETWEEN + 1))
        pieces.append(file.read(_PIECE))
    file.seek(size - _ENDS)
    return [*pieces, file.read(_ENDS)]


def _code_of(loader: DatasetLoader) -> list[list[int | str]]:
    """Names, sizes and times of the modules of the package that the loader's function is from."""
    name = getattr(loader.load, "__module__", "") or ""
    package = sys.modules.get(name.partition(".")[0])
    if package is None or not getattr(package, "__file__", None):
        return []
    file = Path(str(package.__file__))
    modules = sorted(file.parent.rglob("*.py")) if hasattr(package, "__path__") else [file]
    return [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in modules]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
