"""Progress reports of long operations."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the progress of a long operation. Drawn by the command line, ignored by the API."""

    def note(self, text: str) -> None:
        """Say one line."""

    def begin(self, task: str, total: int, unit: str) -> None:
        """Begin a task of ``total`` units; ends the one before."""

    def advance(self, done: int, detail: str = "") -> None:
        """Say how many units of the task are done in all, with a short detail."""

    def end(self) -> None:
        """End the task."""


class SilentProgress:
    """A progress that reports nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def begin(self, task: str, total: int, unit: str) -> None:
        """Begin nothing."""

    def advance(self, done: int, detail: str = "") -> None:
        """Advance nothing."""

    def end(self) -> None:
        """End nothing."""
