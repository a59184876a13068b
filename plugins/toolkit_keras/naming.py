"""Which file an error is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from toolkit.errors import ToolkitError


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Put a file's name before the messages of errors: what checks a layer does not know its file."""
    try:
        yield
    except ToolkitError as error:
        raise named(error, file) from error


def named(error: ToolkitError, file: str) -> ToolkitError:
    """The error with a file's name before its message, unless the message begins with it."""
    if error.message.startswith(file):
        return error
    return type(error)(f"{file}: {error.message}", hint=error.hint)
