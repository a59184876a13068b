"""The one limit on what a file may declare and unpack.

A few kilobytes can declare terabytes, and compressed zeros unpack to a thousand times their size. Every
reader counts a file's tensors and members in a :class:`SizeBudget` before memory for them is allocated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from toolkit.errors import LimitReachedError, UsageError, shown
from toolkit.vocabulary.figures import file_size

DEFAULT_MAX_SIZE = 2_000_000_000
"""Bytes of tensors that one file may declare, compressed or not, unless more is allowed."""

MAX_RATIO = 32
"""How many times its own size a file may unpack to. Trained float weights compress to 93 % of their size,
90 % zeros among them to an eighth, 95 % to a fifteenth."""

FREE_SIZE = 32 << 20
"""Bytes that a file may unpack to whatever its own size: small tensors of zeros compress well."""

LARGEST_DOCUMENT = 8 << 20
"""Bytes of a card, a report, a recipe, or a network's configuration."""

_UNITS = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
_BY_LOWER_CASE = {unit.lower(): size for unit, size in _UNITS.items()}
_SIZE = re.compile(r"\s*([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([A-Za-z]*)\s*")

_max_size: ContextVar[int] = ContextVar("max_size", default=DEFAULT_MAX_SIZE)


def max_size() -> int:
    """Bytes of tensors that a file may declare, in this thread and context."""
    return _max_size.get()


@contextmanager
def limited_to(size: int) -> Iterator[None]:
    """Let files declare this many bytes while the context lasts, in this thread."""
    before = _max_size.set(size)
    try:
        yield
    finally:
        _max_size.reset(before)


def parse_size(text: str) -> int:
    """A size in bytes from a number and its unit: ``4GB``, ``512 MiB``, ``1.5GB``; bytes without a unit.

    Raises:
        UsageError: If it is no positive size.
    """
    found = _SIZE.fullmatch(text) if text.isascii() else None
    unit = _BY_LOWER_CASE.get(found[2].lower() or "b") if found else None
    size = int(float(found[1]) * unit) if found and unit else 0
    if size < 1:
        raise UsageError(
            f"{shown(text)} is not a size", hint=f"a number and one of {', '.join(_UNITS)}, such as 4GB"
        )
    return size


def written_size(size: int) -> str:
    """A size as :func:`parse_size` reads it, in the largest unit that divides it: ``2 GB``."""
    unit = max((name for name, one in _UNITS.items() if size % one == 0), key=_UNITS.__getitem__)
    return f"{size // _UNITS[unit]} {unit}"


class SizeBudget:
    """What the tensors of one file may declare in all.

    Args:
        stored: Size of the file in bytes.
    """

    def __init__(self, stored: int) -> None:
        self._stored = stored
        self._most = max_size()
        self._most_unpacked = max(MAX_RATIO * stored, FREE_SIZE)
        self._declared = 0

    def add(self, size: int, what: str) -> None:
        """Count a tensor or an archive's member, before it is read.

        Args:
            size: Bytes in memory.
            what: Its name.

        Raises:
            LimitReachedError: If it, or all that was counted, is larger than :func:`max_size`, or than
                :data:`MAX_RATIO` times the file.
        """
        self._declared += size
        if self._declared > self._most:
            raise LimitReachedError(
                f"{self._described(size, what)}, the limit is {written_size(self._most)}",
                hint="for a file that you trust, --max-size sets another limit",
            )
        if self._declared > self._most_unpacked:
            raise LimitReachedError(
                f"{self._described(size, what)} in a file of {file_size(self._stored)}, "
                f"more than {MAX_RATIO} times as much",
                hint="a trained network does not compress so well; if you trust the file, "
                "save it without compression",
            )

    def _described(self, size: int, what: str) -> str:
        if size == self._declared:
            return f"{what} declares {file_size(size)}"
        return f"the tensors up to {what} declare {file_size(self._declared)}"
