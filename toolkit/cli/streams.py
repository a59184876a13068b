"""The standard streams: open, and able to print every character."""

from __future__ import annotations

import codecs
import io
import os
import sys

_PLAIN = str.maketrans(
    {"–": "-", "−": "-", "×": "x", "…": "...", "→": "->", "≥": ">=", "≤": "<=", "’": "'", "“": '"', "”": '"'}
)
_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def prepare_streams() -> None:
    """Open streams that are closed, and replace characters that a stream cannot encode."""
    for number, (name, mode) in enumerate(_STREAMS):
        _keep_open(number)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for good
    codecs.register_error("plain", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")


def _keep_open(number: int) -> None:
    """Redirect a closed stream to nowhere; otherwise the next open file would get its number."""
    try:
        os.fstat(number)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """Write characters that the encoding does not have with ASCII characters."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end].translate(_PLAIN)
    return letters.encode("ascii", "backslashreplace").decode("ascii"), error.end
