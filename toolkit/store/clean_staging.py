"""Removing what crashes left behind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.store.faults import storage_error
from toolkit.store.staging import folder_at_rest, is_staging

_OLD_S = 24 * 3600.0


def stale_staging(folder: Path) -> list[Path]:
    """Staging files in a folder and below it whose writers are dead.

    A folder in which somebody is writing at this moment is passed over, except for files that
    nobody has written to for a day.

    Returns:
        Sorted paths.

    Raises:
        StorageError: If a folder cannot be read.
    """
    stale: list[Path] = []
    for place, files in _staging_by_folder(folder):
        with _stale(place, files) as paths:
            stale += paths
    return sorted(stale)


def sweep(folder: Path) -> list[Path]:
    """Remove the staging files in a folder and below it whose writers are dead.

    Returns:
        What was removed, sorted.

    Raises:
        StorageError: If a file cannot be removed.
    """
    removed: list[Path] = []
    for place, files in _staging_by_folder(folder):
        with _stale(place, files) as paths:
            for path in paths:
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    raise storage_error(error, path, "was not removed") from error
                removed.append(path)
    return sorted(removed)


def _staging_by_folder(folder: Path) -> Iterator[tuple[Path, list[Path]]]:
    for place, _, names in os.walk(folder):
        files = [Path(place, name) for name in names if is_staging(name)]
        if files:
            yield Path(place), files


@contextmanager
def _stale(place: Path, files: list[Path]) -> Iterator[list[Path]]:
    """The stale ones among a folder's staging files; no writer can begin before the exit."""
    try:
        with folder_at_rest(place) as at_rest:
            yield [path for path in files if path.exists() and (at_rest or _is_old(path))]
    except OSError as error:
        raise storage_error(error, place, "could not be swept") from error


def _is_old(path: Path) -> bool:
    return time.time() - path.lstat().st_mtime > _OLD_S
