"""Finding files below folders."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import LimitReachedError
from toolkit.store.walk import walk_folders

_MOST_ENTRIES = 1_000_000


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that was found: its path below the root as given, and its size in bytes."""

    path: Path
    size: int


def find_files(
    roots: Sequence[Path],
    suffixes: Sequence[str],
    *,
    follow_links: bool = False,
    max_depth: int = 6,
    max_files: int = 10_000,
    max_seconds: float = 5.0,
) -> list[FoundFile]:
    """Find regular files by suffix, in folders and below them.

    Hidden files and folders (``.venv``, ``.git``, ``.toolkit``, staging files) are skipped, and so
    are folders without permission. A file that is reached in two ways is found once, by its own
    name if that is one of them.

    Args:
        roots: Folders or files, which may be links; missing ones are skipped.
        suffixes: With the dot; case is ignored.
        follow_links: Whether links below the roots are followed; each folder is entered once.
        max_depth: Levels of folders below a root; 0 searches the root alone.
        max_files: Largest number of files.
        max_seconds: Longest duration.

    Returns:
        Sorted by path.

    Raises:
        LimitReachedError: If there are too many files, or it takes too long.
    """
    wanted = tuple(suffix.lower() for suffix in suffixes)
    deadline = time.monotonic() + max_seconds
    found: dict[Path, FoundFile] = {}
    for root in roots:
        for file in _below(root, follow_links=follow_links, max_depth=max_depth):
            if time.monotonic() > deadline:
                raise LimitReachedError(f"{root}: searching it took too long", hint="name a smaller folder")
            if not file.name.lower().endswith(wanted):
                continue
            # A file can be removed while it is being listed.
            with suppress(OSError):
                real = file.resolve()
                if real not in found or found[real].path.is_symlink():
                    found[real] = FoundFile(file, file.stat().st_size)
            if len(found) > max_files:
                raise LimitReachedError(
                    f"{root}: more than {max_files:,} files end with {', '.join(suffixes)}",
                    hint="name a smaller folder",
                )
    return sorted(found.values(), key=lambda file: file.path)


def _below(root: Path, *, follow_links: bool, max_depth: int) -> Iterator[Path]:
    if root.is_file():
        yield root
    for folder in walk_folders(
        root, follow_links=follow_links, max_depth=max_depth, max_entries=_MOST_ENTRIES
    ):
        yield from (folder.path / name for name in folder.files if not name.startswith("."))
