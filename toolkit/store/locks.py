"""Locks of the kernel's: they end with the process that holds them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit.errors import BusyError
from toolkit.store.faults import storage_error


@contextmanager
def exclusive(target: Path, *, wait_s: float = 0.0) -> Iterator[None]:
    """Keep everybody else from working on the same output.

    The lock is the kernel's, on an empty file in ``.toolkit/locks`` of the target's folder: a
    process that dies lets go of it, and the file that stays behind means nothing. Publishing is
    whole without it as well; the lock spares the work of the one who would lose.

    Args:
        target: The output; need not exist.
        wait_s: How long to wait for it, in seconds.

    Raises:
        BusyError: If somebody else holds it.
        StorageError: If the lock's file cannot be made.
    """
    from filelock import FileLock, Timeout

    folder = target.parent / ".toolkit" / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{target.name}.lock", timeout=wait_s, thread_local=False)
        lock.acquire(poll_interval=0.02)
    except Timeout as error:
        raise BusyError(
            f"{target}: another process is writing it", hint="wait until it has ended, or name another output"
        ) from error
    except OSError as error:
        raise storage_error(error, target, "could not be locked") from error
    try:
        yield
    finally:
        # What was done under the lock is done, whatever letting go of it says.
        with suppress(OSError):
            lock.release()
