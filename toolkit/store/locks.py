"""Kernel locks: they end with the process that holds them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit.errors import BusyError
from toolkit.store.faults import storage_error


@contextmanager
def exclusive(target: Path, *, wait_s: float = 0.0) -> Iterator[None]:
    """Keep other processes from working on the same output.

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
    from filelock import FileLock, Timeout

    folder = target.parent / ".toolkit" / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{target.name}.lock", timeout=wait_s, thread_local=False)
        lock.acquire(poll_interval=0.02)
    except Timeout as error:
        raise BusyError(
            f"{target}: another process is writing it",
            hint="wait until it has finished, or name another output",
        ) from error
    except OSError as error:
        raise storage_error(error, target, "could not be locked") from error
    try:
        yield
    finally:
        # The work is done, even if releasing the lock fails.
        with suppress(OSError):
            lock.release()
