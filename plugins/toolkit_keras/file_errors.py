"""Errors about a file: what finds one does not know the file's name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from toolkit.errors import ToolkitError, UnreadableInputError


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Put a file's name before the messages of errors."""
    try:
        yield
    except ToolkitError as error:
        raise named(error, file) from error


def named(error: ToolkitError, file: str) -> ToolkitError:
    """The error with a file's name before its message."""
    return type(error)(f"{file}: {error.message}", hint=error.hint)


def damaged_file(what: str) -> UnreadableInputError:
    """The error for bytes that are not what they should be."""
    return UnreadableInputError(what, hint="the file is damaged; download or create it again")


def damaged_config(what: str) -> UnreadableInputError:
    """The error for a configuration that contradicts itself."""
    return UnreadableInputError(what, hint="the file's configuration is damaged, or was not written by Keras")


def foreign_weights(what: str) -> UnreadableInputError:
    """The error for tensors that do not fit the layers."""
    return UnreadableInputError(what, hint="the weights do not belong to this architecture")
