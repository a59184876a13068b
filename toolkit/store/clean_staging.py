"""Removing the staging files that crashes left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

from toolkit.store.faults import storage_error
from toolkit.store.staging import folder_at_rest, is_staging

_OLD_S = 24 * 3600.0


def clean_staging(folder: Path, *, recursive: bool = True) -> list[Path]:
    """Remove the staging files in a folder whose writers have ended.

    Where a process is writing at this moment, only files that are older than a day are removed.

    Args:
        folder: Need not exist.
        recursive: Whether the folders below are cleaned, too.

    Returns:
        The removed files, sorted.

    Raises:
        StorageError: If a file cannot be removed.
    """
    removed: list[Path] = []
    for place, below, names in os.walk(folder):
        staging = [Path(place, name) for name in names if is_staging(name)]
        if staging:
            removed += _clean(Path(place), staging)
        if not recursive:
            below.clear()
    return sorted(removed)


def _clean(folder: Path, staging: list[Path]) -> list[Path]:
    removed = []
    try:
        with folder_at_rest(folder) as at_rest:  # no writer can begin before the end of the block
            for path in staging:
                if path.exists() and (at_rest or time.time() - path.lstat().st_mtime > _OLD_S):
                    path.unlink(missing_ok=True)
                    removed.append(path)
    except OSError as error:
        raise storage_error(error, folder, "could not be cleaned") from error
    return removed
