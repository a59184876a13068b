"""One heavy job at a time, and none for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from toolkit.errors import LimitReachedError
from toolkit.web.problems import refuse


class HeavyGate:
    """Lets one request through at a time and tells the others to come again.

    Args:
        retry_after_s: What they are told to wait, in seconds.
    """

    def __init__(self, retry_after_s: int) -> None:
        self._free = threading.Lock()
        self._retry_after_s = retry_after_s

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Hold the gate.

        Raises:
            RefusedError: With 429, if somebody else holds it.
        """
        if not self._free.acquire(blocking=False):
            raise refuse(429, "too_many_requests", Retry_After=str(self._retry_after_s))
        try:
            yield
        finally:
            self._free.release()


class Deadline:
    """A progress that says nothing, and ends the work once its time is up.

    Args:
        seconds: How long the work may take; looked at wherever it reports progress.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def note(self, text: str) -> None:
        """Look at the clock."""
        del text
        self._check()

    def begin(self, task: str, total: int, unit: str) -> None:
        """Look at the clock."""
        del task, total, unit
        self._check()

    def advance(self, done: int, detail: str = "") -> None:
        """Look at the clock."""
        del done, detail
        self._check()

    def end(self) -> None:
        """The task is done, late or not."""

    def _check(self) -> None:
        if time.monotonic() > self._end:
            raise LimitReachedError(
                f"the job took longer than {self._seconds:g} s", hint="merge fewer or smaller models"
            )
