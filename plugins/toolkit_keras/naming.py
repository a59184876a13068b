"""Which file an error is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from toolkit.errors import ToolkitError


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Put a file's name before the messages of errors that do not begin with it.

    What looks at a layer does not know which file the layer came from.
    """
    try:
        yield
    except ToolkitError as error:
        if error.message.startswith(file):
            raise
        raise type(error)(f"{file}: {error.message}", hint=error.hint) from error
