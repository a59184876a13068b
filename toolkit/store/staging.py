"""Staging files: their names, and whether their writer is still running.

A writer holds a shared kernel lock on the *folder* while it has a staging file there. A process that
gets the exclusive lock knows that no writer is running, and that every staging file there is left from
a crash. The kernel releases the lock when a process ends, however it ended. Process numbers can be
reused and have no meaning in another container; the staging file cannot be locked, because HDF5 locks
it itself; and a folder's lock leaves no file behind.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_STAGING = re.compile(r"\..*\.[0-9a-f]{16}\.staging(\..*)?", re.DOTALL)
_LONGEST_NAME = 255  # bytes, on every common file system
_PATIENCE_S = 5.0
# A network file system may not lock folders; a writer then goes on without the lock.
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EINVAL}


def is_staging(name: str) -> bool:
    """Whether a file's name is the name of a staging file."""
    return _STAGING.fullmatch(name) is not None


def staging_path(target: Path, suffix: str | None = None) -> Path:
    """A new hidden name beside the target, ``.<stem>.<random>.staging<suffix>``; its suffix by default."""
    ending = target.suffix if suffix is None else suffix
    tail = f".{secrets.token_hex(8)}.staging{ending}"
    stem = target.name.removesuffix(ending) if ending else target.name
    room = _LONGEST_NAME - len(tail.encode()) - 1
    stem = stem.encode()[: max(room, 0)].decode(errors="ignore")
    return target.with_name(f".{stem}{tail}")


@contextmanager
def folder_in_use(folder: Path) -> Iterator[int]:
    """Hold the folder's shared lock, and yield its descriptor."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while not _lock(descriptor, fcntl.LOCK_SH) and time.monotonic() < deadline:
            time.sleep(0.01)  # cleaning holds it for moments
        # After the deadline, go on without it: cleaning could then remove this writer's staging
        # file, but never a published one.
        yield descriptor
    finally:
        # Nothing was written through it, so an error here does not concern the file.
        with suppress(OSError):
            os.close(descriptor)


@contextmanager
def folder_at_rest(folder: Path) -> Iterator[bool]:
    """Try to get the folder's exclusive lock; yields whether no writer is running in the folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield _lock(descriptor, fcntl.LOCK_EX, unsupported=False)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int, *, unsupported: bool = True) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return unsupported
        raise
    return True
