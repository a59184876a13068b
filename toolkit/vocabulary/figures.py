"""Shares and sizes as people read them; one form everywhere."""

from __future__ import annotations

from collections.abc import Sequence

MEBIBYTE = 1024 * 1024
"""The unit of ``size_mb`` in HTTP, as in the original project, and of every size that people read."""


def percent(share: float | None, digits: int = 2) -> str:
    """A share between 0 and 1: ``85.36 %``; a dash for None."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def sizes(shape: Sequence[int]) -> str:
    """The axes of an array: ``28×28×1``."""
    return "×".join(map(str, shape)) or "a single number"


def file_size(size: int) -> str:
    """A size in bytes: ``1.64 MiB``."""
    return f"{size / MEBIBYTE:,.2f} MiB"
