"""The time limit of a heavy job."""

from __future__ import annotations

import time

from toolkit.errors import LimitReachedError
from toolkit.vocabulary import SilentProgress


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
