"""What a cached part of a data set was made from."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any, BinaryIO, Literal

from toolkit.declarations import DatasetLoader, DatasetSource
from toolkit.errors import LimitReachedError
from toolkit.options import options_as_json
from toolkit.records import dataclass
from toolkit.store import walk_folders
from toolkit.store.faults import storage_error
from toolkit.store.opening import open_file

MAX_FILES = 250_000
_MOST_SAMPLED = 100  # of more files, only sizes and times count
_ENDS = 64 * 1024
_BETWEEN = 32
_PIECE = 4 * 1024

Part = Literal["train", "test"]


def size_and_times(path: Path) -> list[int]:
    """What changes when a file is written: size, times of modification and of change of status."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


@dataclass(frozen=True)
class Fingerprint:
    """Tells one state of one part of a data set from every other.

    Attributes:
        place: Digest of the files' paths and the loader's options.
        state: Digest of everything that the part depends on.
    """

    title: str
    place: str
    state: str


def fingerprint(source: DatasetSource, part: Part, loader: DatasetLoader, options: Any) -> Fingerprint:
    """Fingerprint one part of a source as it is loaded with some options.

    The state covers, for each file that the part is read from, its path, size, times of
    modification and of change of status, and samples of its content: the first and the last
    64 KiB and 32 pieces of 4 KiB evenly between. For the files below a folder, and for more than
    100 files, it covers only names, sizes and times. It also covers the loader's own code, so that
    a corrected loader reads its files again.
    """
    other = "test" if part == "train" else "train"
    files = {role: path for role, path in sorted(source.files.items()) if role.partition("-")[0] != other}
    paths = {role: str(path.absolute()) for role, path in files.items()}
    place = [loader.name, source.name, part, paths, options_as_json(options)]
    sampled = len(files) <= _MOST_SAMPLED
    state = [place, _code_of(loader), [_state_of(path, sampled=sampled) for path in files.values()]]
    return Fingerprint(f"{loader.name}-{source.name}-{part}", _digest(place), _digest(state))


def _state_of(path: Path, *, sampled: bool) -> list[Any]:
    try:
        if path.is_dir():
            return _state_of_folder(path)
        with open_file(path) as file:
            state = size_and_times(path)
            return [*state, _digest_of_samples(file, state[0])] if sampled else state
    except OSError as error:
        raise storage_error(error, path, "could not be read") from error


def _state_of_folder(folder: Path) -> list[Any]:
    state: list[Any] = []
    for visited in walk_folders(folder, max_entries=10 * MAX_FILES):
        state += [[str(visited.path / name), *size_and_times(visited.path / name)] for name in visited.files]
        if len(state) > MAX_FILES:
            raise LimitReachedError(f"{folder}: expected at most {MAX_FILES:,} files, received more")
    return state


def _digest_of_samples(file: BinaryIO, size: int) -> str:
    between = [(size * number // (_BETWEEN + 1), _PIECE) for number in range(1, _BETWEEN + 1)]
    samples = [(0, _ENDS), *between, (size - _ENDS, _ENDS)]
    if size <= sum(length for _, length in samples):
        samples = [(0, size)]
    content = hashlib.sha256()
    for begin, length in samples:
        file.seek(begin)
        content.update(file.read(length))
    return content.hexdigest()


def _code_of(loader: DatasetLoader) -> list[list[int | str]]:
    """Names, sizes and times of the modules of the loader's package."""
    name = getattr(loader.load, "__module__", "") or ""
    package = sys.modules.get(name.partition(".")[0])
    if package is None or not getattr(package, "__file__", None):
        return []
    file = Path(str(package.__file__))
    modules = sorted(file.parent.rglob("*.py")) if hasattr(package, "__path__") else [file]
    return [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in modules]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
