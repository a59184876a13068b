"""Errors about a damaged file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from toolkit.errors import UnreadableInputError

damaged_file = partial(UnreadableInputError, hint="the file is damaged; download or create it again")
damaged_config = partial(
    UnreadableInputError, hint="the file's configuration is damaged, or was not written by Keras"
)
foreign_weights = partial(UnreadableInputError, hint="the weights do not belong to this architecture")


class damage:  # noqa: N801 - used like a function, as contextlib.suppress is
    """Take errors of these kinds, which a library raises while it reads, for a damaged file.

    A class, because every tensor is read in several such blocks and a generator costs three times as much.
    """

    def __init__(self, what: str, kinds: tuple[type[Exception], ...]) -> None:
        self._what, self._kinds = what, kinds

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, self._kinds):
            reason = (str(error).strip("'\"") or type(error).__name__).splitlines()[0]
            raise damaged_file(f"{self._what} cannot be read: {reason[:120]}") from error


def shown(shape: Sequence[int | None] | None) -> str:
    """A shape for an error message."""
    if shape is None:
        return "(of any shape)"
    return "×".join("?" if size is None else str(size) for size in shape) or "(one number)"
