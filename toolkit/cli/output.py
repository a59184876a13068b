"""What a command prints: its result on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from toolkit.cli.jsonable import to_jsonable
from toolkit.cli.visible import visible, visible_lines
from toolkit.errors import StorageError
from toolkit.vocabulary import SilentProgress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from toolkit.cli.progress import BarProgress
    from toolkit.vocabulary import Progress

WIDTH_OF_A_PIPE = 120


class Output:
    """Where a command prints; its attributes are the common options of the command line.

    ``answered`` says whether the result has been printed: there is only one document.
    """

    def __init__(self, *, json: bool = False, debug: bool = False) -> None:
        self.json = json
        self.quiet = False
        self.verbose = False
        self.debug = debug
        self.answered = False
        self._bar: BarProgress | None = None
        self._document_to: TextIO | None = None
        self._log: Path | None = None

    def log_to(self, path: Path) -> None:
        """Write notes, warnings and failures to the end of a file, too (``--log-file``)."""
        try:
            path.open("a").close()
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}", hint="name another log file") from error
        self._log = path

    def log(self, line: str) -> None:
        """Write a line to the log file, if there is one."""
        if self._log is not None:
            from datetime import datetime

            # A log on a full disk does not end the work.
            now = datetime.now().astimezone().isoformat(timespec="seconds")
            with suppress(OSError), self._log.open("a", encoding="utf-8", errors="backslashreplace") as log:
                log.write(f"{now} {visible_lines(line)}\n")

    @contextmanager
    def for_the_document_alone(self) -> Iterator[None]:
        """Under ``--output json``, keep what plugins and libraries print off stdout."""
        self._document_to = sys.stdout
        with redirect_stdout(sys.stderr) if self.json else nullcontext():
            yield

    def result(self, document: Any, text: Callable[[Console], None]) -> None:
        """Print the result: the document as JSON, or what ``text`` writes for people."""
        self.close()
        if self.json:
            text_of_document = json.dumps(to_jsonable(document), indent=2, allow_nan=False)
            self.answered = True
            print(text_of_document, file=self._document_to or sys.stdout, flush=True)
        else:
            text(make_console(sys.stdout))

    def warn(self, line: str) -> None:
        """Print what the user should know even with ``--quiet``."""
        warning = visible(f"warning: {line}")
        self.log(warning)
        if self._bar is not None:
            self._bar.note(warning)
        else:
            print(warning, file=sys.stderr, flush=True)

    def progress(self) -> Progress:
        """Where long work reports its progress."""
        from toolkit.cli.progress import BarProgress, LineProgress, LoggedProgress

        shown: Progress
        if self.quiet:
            shown = SilentProgress()
        elif not is_terminal(sys.stderr):
            shown = LineProgress(sys.stderr)
        else:
            shown = self._bar = self._bar or BarProgress(make_console(sys.stderr))
        return shown if self._log is None else LoggedProgress(shown, self.log)

    def close(self) -> None:
        """Stop drawing; an exception may have left a bar alive."""
        if self._bar is not None:
            self._bar.end()
            self._bar = None


def make_console(stream: TextIO) -> Console:
    """A console for people: plain text, 80 columns look good, ``NO_COLOR`` is honoured by rich.

    In a pipe lines are not wrapped, so that a path stays in one piece for the next program.
    """
    from rich.console import Console

    class QuietConsole(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(visible_lines(text), **options)

        def on_broken_pipe(self) -> None:
            # Rich would end the process with the status of a bug; the program ends it quietly.
            raise BrokenPipeError

    piped = not is_terminal(stream)
    return QuietConsole(
        file=stream,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=piped,
        width=WIDTH_OF_A_PIPE if piped and not os.environ.get("COLUMNS", "").isdigit() else None,
    )


def is_terminal(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can draw."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"
