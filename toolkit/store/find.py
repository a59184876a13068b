"""Finding files below folders."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import LimitReachedError


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that was found.

    Attributes:
        path: Below the root as the root was given.
        size: In bytes.
    """

    path: Path
    size: int


def find_files(
    roots: Sequence[Path],
    suffixes: Sequence[str],
    *,
    max_depth: int = 6,
    max_files: int = 10_000,
    max_seconds: float = 5.0,
) -> list[FoundFile]:
    """Find regular files by suffix, in folders and below them.

    Links are not followed, except that a root itself may be one. Hidden files and folders
    (``.venv``, ``.git``, ``.toolkit``, staging files) are passed over, and so are folders that
    may not be read. A file that lies below two roots is found once, below the first.

    Args:
        roots: Folders, or files; what is not there is passed over.
        suffixes: With the dot; compared without regard to case.
        max_depth: Folders below a root: 0 looks into the root alone.
        max_files: How many may be found.
        max_seconds: How long it may take.

    Returns:
        Sorted by path.

    Raises:
        LimitReachedError: If there are too many files, or it takes too long.
    """
    wanted = tuple(suffix.lower() for suffix in suffixes)
    deadline = time.monotonic() + max_seconds
    found: dict[Path, FoundFile] = {}
    for root in roots:
        for file in _below(root, max_depth, deadline, max_seconds):
            if not file.name.lower().endswith(wanted):
                continue
            found.setdefault(_absolute(file), FoundFile(file, file.lstat().st_size))
            if len(found) > max_files:
                raise LimitReachedError(
                    f"{root}: more than {max_files:,} files end with {', '.join(suffixes)}",
                    hint="name a smaller folder",
                )
    return sorted(found.values(), key=lambda file: file.path)


def _absolute(path: Path) -> Path:
    return path.parent.resolve() / path.name


def _below(root: Path, max_depth: int, deadline: float, max_seconds: float) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    folders = [(root, 0)]
    while folders:
        folder, depth = folders.pop()
        for entry in _entries(folder):
            if time.monotonic() > deadline:
                raise LimitReachedError(
                    f"{root}: looking through it took longer than {max_seconds:g} s",
                    hint="name a smaller folder",
                )
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if depth < max_depth:
                    folders.append((Path(entry.path), depth + 1))
            elif entry.is_file(follow_symlinks=False):
                yield Path(entry.path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
