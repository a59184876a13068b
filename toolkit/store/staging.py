"""Staging files: their names, whether their writer is still running, and removing what crashes left.

A writer holds a shared kernel lock on the *folder* while it has a staging file there. A process that
gets the exclusive lock knows that no writer is running, and that every staging file there is left from
a crash. The kernel releases the lock when a process ends, however it ended. Process numbers can be
reused and have no meaning in another container; the staging file cannot be locked, because HDF5 locks
it itself; and a folder's lock leaves no file behind.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.store.faults import close_quietly, storage_error
from toolkit.store.locks import try_lock

_STAGING = re.compile(r"\..*\.[0-9a-f]{16}\.staging(\..*)?", re.DOTALL)
_LONGEST_NAME = 255  # bytes, on every common file system
_PATIENCE_S = 5.0
_OLD_S = 24 * 3600.0


def staging_path(target: Path) -> Path:
    """A new hidden name beside the target, ``.<stem>.<random>.staging<suffix>``."""
    tail = f".{os.urandom(8).hex()}.staging{target.suffix}"
    room = _LONGEST_NAME - len(tail.encode()) - 1
    stem = target.stem.encode()[: max(room, 0)].decode(errors="ignore")
    return target.with_name(f".{stem}{tail}")


@contextmanager
def folder_in_use(folder: Path) -> Iterator[int]:
    """Hold the folder's shared lock, and yield its descriptor."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while not try_lock(descriptor, fcntl.LOCK_SH) and time.monotonic() < deadline:
            time.sleep(0.01)  # cleaning holds it for moments
        # After the deadline, go on without it: cleaning could then remove this writer's staging
        # file, but never a published one.
        yield descriptor
    finally:
        close_quietly(descriptor)


def clean_staging(folder: Path, *, recursive: bool = True) -> list[Path]:
    """Remove the staging files in a folder, and below it, whose writers have ended; returns them, sorted.

    Where a process is writing at this moment, only files that are older than a day are removed.

    Raises:
        StorageError: If a file cannot be removed.
    """
    removed: list[Path] = []
    for place, below, names in os.walk(folder):
        staging = [Path(place, name) for name in names if _STAGING.fullmatch(name)]
        try:
            removed += _removed(Path(place), staging) if staging else []
        except OSError as error:
            raise storage_error(error, Path(place), "could not be cleaned") from error
        if not recursive:
            below.clear()
    return sorted(removed)


def _removed(folder: Path, staging: list[Path]) -> list[Path]:
    removed = []
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # With the exclusive lock, no writer is running or can begin.
        at_rest = try_lock(descriptor, fcntl.LOCK_EX, unsupported=False)
        for path in staging:
            if path.exists() and (at_rest or time.time() - path.lstat().st_mtime > _OLD_S):
                path.unlink(missing_ok=True)
                removed.append(path)
    finally:
        os.close(descriptor)
    return removed
