"""Staging files: what they are called, and how one sees whether their writer still lives.

A writer holds the kernel's shared lock on the *folder* while it has a staging file in it. Whoever
gets the exclusive lock therefore knows that no writer lives and that every staging file there is
left over from a crash. The kernel drops the lock in the instant in which a process dies, whatever
killed it; numbers of processes can be reused and mean nothing in another container; the staging
file itself cannot carry the lock, for HDF5 opens and locks it in its own way. And a folder's lock
leaves no file behind.
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
# A network file system may not lock folders: then a writer goes on without the lock.
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EINVAL}


def is_staging(name: str) -> bool:
    """Whether a file's name is that of a staging file."""
    return _STAGING.fullmatch(name) is not None


def staging_path(target: Path, suffix: str | None = None) -> Path:
    """A new hidden name beside the target: ``.<stem>.<random>.staging<suffix>``.

    Args:
        target: What is to be published.
        suffix: With the dot; None for the target's own.
    """
    ending = target.suffix if suffix is None else suffix
    tail = f".{secrets.token_hex(8)}.staging{ending}"
    stem = target.name.removesuffix(ending) if ending else target.name
    room = _LONGEST_NAME - len(tail.encode()) - 1
    stem = stem.encode()[: max(room, 0)].decode(errors="ignore")
    return target.with_name(f".{stem}{tail}")


@contextmanager
def folder_in_use(folder: Path) -> Iterator[int]:
    """Hold the folder's shared lock, and yield its descriptor.

    Raises:
        OSError: If the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while not _lock(descriptor, fcntl.LOCK_SH) and time.monotonic() < deadline:
            time.sleep(0.01)  # a sweep holds it for moments
        # Past the deadline the lock is a stranger's: a sweep could cost this writer its work,
        # never anybody a published file.
        yield descriptor
    finally:
        # Nothing was written through it: an error here says nothing about the file.
        with suppress(OSError):
            os.close(descriptor)


@contextmanager
def folder_at_rest(folder: Path) -> Iterator[bool]:
    """Try for the folder's exclusive lock; yields whether no writer lives in the folder.

    Raises:
        OSError: If the folder cannot be opened.
    """
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
