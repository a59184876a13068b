"""Progress of long work: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from toolkit.cli.visible import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from toolkit.vocabulary import Progress as ShownProgress

BAR_WIDTH = 10
SECONDS_BETWEEN_LINES = 10.0


class LineProgress:
    """Progress for logs and pipes: one line every ten seconds; each epoch is a ``note``."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._task, self._unit, self._total = "", "", 0
        self._last = 0.0

    def note(self, text: str) -> None:
        """Print one line."""
        print(visible(text), file=self._stream, flush=True)

    def begin(self, task: str, total: int, unit: str) -> None:
        """Begin a task; prints nothing yet."""
        self._task, self._total, self._unit = task, total, unit
        self._last = self._clock()

    def advance(self, done: int, detail: str = "") -> None:
        """Print a line if the last one was ten seconds ago."""
        now = self._clock()
        if now - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = now
        behind = f"  {detail}" if detail else ""
        self.note(f"{self._task}: {done:,} of {self._total:,} {self._unit}{behind}")

    def end(self) -> None:
        """End the task; prints nothing."""


class LoggedProgress:
    """Another progress whose notes go to a log as well."""

    def __init__(self, shown: ShownProgress, log: Callable[[str], None]) -> None:
        self._log = log
        self._shown = shown
        self.begin, self.advance, self.end = shown.begin, shown.advance, shown.end

    def note(self, text: str) -> None:
        """Print and log one line."""
        self._log(text)
        self._shown.note(text)


class BarProgress:
    """Progress on a terminal: one live bar, with notes above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._running: TaskID | None = None
        self._unit = ""
        self._room = 0

    def note(self, text: str) -> None:
        """Print one line above the bar."""
        self._console.print(visible(text))

    def begin(self, task: str, total: int, unit: str) -> None:
        """Draw a bar for a task; the previous bar stays on the screen."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.end()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=BAR_WIDTH),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=self._console,
            refresh_per_second=5,
        )
        # Rich would shorten the other columns first; they are more important than the detail.
        fixed = len(task) + BAR_WIDTH + 2 * len(str(total)) + len("/ 0:00:00") + 4
        self._room = max(self._console.width - fixed, 1)
        self._unit = unit
        self._running = self._bar.add_task(task, total=total, detail=self._fitted(unit))
        self._bar.start()

    def advance(self, done: int, detail: str = "") -> None:
        """Move the bar."""
        if self._bar is not None and self._running is not None:
            self._bar.update(self._running, completed=done, detail=self._fitted(detail or self._unit))

    def end(self) -> None:
        """Stop drawing and show the cursor."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._running = None

    def _fitted(self, detail: str) -> str:
        detail = visible(detail)
        return detail if len(detail) <= self._room else detail[: self._room - 1] + "…"
