"""One heavy job at a time, with a time limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from toolkit.errors import LimitReachedError
from toolkit.vocabulary import SilentProgress
from toolkit.web.problems import refuse


class HeavyGate:
    """Accepts one heavy job at a time; other clients are told to try again later."""

    def __init__(self, retry_after_s: int) -> None:
        self._free = threading.Lock()
        self._retry_after_s = retry_after_s

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Refuse the request with 429 if another job is running."""
        if not self._free.acquire(blocking=False):
            raise refuse(429, "too_many_requests", Retry_After=str(self._retry_after_s))
        try:
            yield
        finally:
            self._free.release()


class Deadline(SilentProgress):
    """A silent progress that ends the work if it reports progress after its time is up."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def note(self, text: str) -> None:
        """Check the time."""
        del text
        if time.monotonic() > self._end:
            raise LimitReachedError(
                f"the job took longer than {self._seconds:g} s", hint="merge fewer or smaller models"
            )

    def advance(self, done: int, detail: str = "") -> None:
        """Check the time."""
        del done
        self.note(detail)
