"""Walking through the folders below a folder, links included, within limits."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from toolkit.records import dataclass

MAX_DEPTH = 6
MAX_ENTRIES = 20_000


@dataclass(frozen=True)
class VisitedFolder:
    """One folder of a walk, with sorted names of its files and folders, links last.

    ``depth`` is 0 where the walk began. Names that are removed from ``folders`` are not visited.
    """

    path: Path
    depth: int
    files: list[str]
    folders: list[str]


def walk_folders(
    folder: Path,
    *,
    follow_links: bool = True,
    max_depth: int = MAX_DEPTH,
    max_entries: int = MAX_ENTRIES,
) -> Iterator[VisitedFolder]:
    """Visit a folder and those below it, the nearest first.

    Every folder is visited once, however many links lead to it. Hidden folders, folders that may
    not be read and links that lead nowhere are skipped.

    Args:
        folder: Where to start; need not exist.
        follow_links: False leaves out links below it.
        max_depth: How many levels below it are visited.
        max_entries: Limit on the number of files and folders in all.
    """
    waiting = deque([(folder, 0)])
    visited: set[tuple[int, int]] = set()
    left = max_entries
    while waiting and left > 0:
        here, depth = waiting.popleft()
        try:
            status = here.stat()
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(here) as listing:
                entries = list(itertools.islice(listing, left))
        except OSError:
            continue
        left -= len(entries)
        found = VisitedFolder(here, depth, [], [])
        # A folder comes before links to it.
        for entry in sorted(entries, key=lambda entry: (entry.is_symlink(), entry.name)):
            if not follow_links and entry.is_symlink():
                continue
            try:
                if entry.is_file():
                    found.files.append(entry.name)
                elif entry.is_dir() and depth < max_depth and not entry.name.startswith("."):
                    found.folders.append(entry.name)
            except OSError:
                continue  # a link that leads to itself
        yield found
        waiting.extend((here / name, depth + 1) for name in found.folders)
