"""Kernel locks: they end with the process that holds them."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from toolkit.errors import BusyError
from toolkit.store.faults import close_quietly, storage_error

_POLL_S = 0.02
# What a network file system answers that cannot lock.
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EINVAL}


def try_lock(descriptor: int, kind: int, *, unsupported: bool = True) -> bool:
    """Try once to lock an open file or folder; ``kind`` is ``fcntl.LOCK_SH`` or ``fcntl.LOCK_EX``.

    ``unsupported`` is the answer of a system without locks.
    """
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return unsupported
        raise
    return True


@contextmanager
def exclusive(target: Path, *, wait_s: float = 0.0) -> Iterator[None]:
    """Keep other processes, and other threads, from working on the same output.

    It is a kernel lock on an empty file in ``.toolkit/locks`` of the target's folder, so it is
    released when the process ends. Publishing is safe without the lock, which only saves the work of
    the process that would lose.

    Args:
        target: The output; need not exist.
        wait_s: How long to wait for the lock, in seconds.

    Raises:
        BusyError: If another process holds it.
        StorageError: If the lock's file cannot be created.
    """
    folder = target.parent / ".toolkit" / "locks"
    deadline = time.monotonic() + wait_s
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = os.open(folder / f"{target.name}.lock", flags, 0o644)
            stack.callback(close_quietly, descriptor)
            while not try_lock(descriptor, fcntl.LOCK_EX):
                if time.monotonic() >= deadline:
                    raise BusyError(
                        f"{target}: another process is writing it",
                        hint="wait until it has finished, or name another output",
                    )
                time.sleep(_POLL_S)
        except OSError as error:
            raise storage_error(error, target, "could not be locked") from error
        yield
