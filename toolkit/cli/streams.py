"""The three standard streams, fit for whatever a command prints."""

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
    """Open the streams that the process was started without, and let no letter stop a command."""
    for number, (name, mode) in enumerate(_STREAMS):
        _keep_open(number)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for good
    codecs.register_error("plain", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")


def _keep_open(number: int) -> None:
    """Send a closed stream nowhere: else the next file that is opened would get its number."""
    try:
        os.fstat(number)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """Write what the terminal's encoding lacks with the letters that it has."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end].translate(_PLAIN)
    # A file name that is no text must not end a command that has done its work.
    return letters.encode("ascii", "backslashreplace").decode("ascii"), error.end
