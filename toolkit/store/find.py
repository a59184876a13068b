"""Finding files below folders."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from toolkit.errors import LimitReachedError
from toolkit.records import dataclass
from toolkit.store.walk import walk_folders

_MOST_ENTRIES = 1_000_000
_MOST_FILES = 10_000
_MOST_LEVELS = 6
_MOST_SECONDS = 5.0


@dataclass(frozen=True)
class FoundFile:
    """A file that was found: its path below the root as given, and its size in bytes."""

    path: Path
    size: int


def find_files(
    roots: Sequence[Path], suffixes: Sequence[str], *, follow_links: bool = False
) -> list[FoundFile]:
    """Find regular files by suffix, in folders and below them.

    Hidden files and folders (``.venv``, ``.git``, ``.toolkit``, staging files) are skipped, and so
    are folders without permission. A file that is reached in two ways is found once, by its own
    name if that is one of them.

    Args:
        roots: Folders or files, which may be links; missing ones are skipped.
        suffixes: With the dot; case is ignored.
        follow_links: Whether links below the roots are followed; each folder is entered once.

    Returns:
        Sorted by path.

    Raises:
        LimitReachedError: If there are too many files, or it takes too long.
    """
    wanted = tuple(suffix.lower() for suffix in suffixes)
    deadline = time.monotonic() + _MOST_SECONDS
    found: dict[Path, FoundFile] = {}
    for root in roots:
        for file in _below(root, follow_links=follow_links):
            if time.monotonic() > deadline:
                raise LimitReachedError(f"{root}: searching it took too long", hint="name a smaller folder")
            if not file.name.lower().endswith(wanted):
                continue
            # A file can be removed while it is being listed.
            with suppress(OSError):
                real = file.resolve()
                if real not in found or found[real].path.is_symlink():
                    found[real] = FoundFile(file, file.stat().st_size)
            if len(found) > _MOST_FILES:
                raise LimitReachedError(
                    f"{root}: more than {_MOST_FILES:,} files end with {', '.join(suffixes)}",
                    hint="name a smaller folder",
                )
    return sorted(found.values(), key=lambda file: file.path)


def _below(root: Path, *, follow_links: bool) -> Iterator[Path]:
    if root.is_file():
        yield root
    for folder in walk_folders(
        root, follow_links=follow_links, max_depth=_MOST_LEVELS, max_entries=_MOST_ENTRIES
    ):
        yield from (folder.path / name for name in folder.files if not name.startswith("."))
