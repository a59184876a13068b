"""Shares and sizes as people read them; one form everywhere."""

from __future__ import annotations

from collections.abc import Sequence

MEBIBYTE = 1024 * 1024
"""The unit of ``size_mb`` in HTTP, as in the original project, and of sizes below 1 GiB that people read."""

_FEW = 10 << 10
_BEYOND = 1 << 70
_LARGE_UNITS = {1 << 60: "EiB", 1 << 50: "PiB", 1 << 40: "TiB", 1 << 30: "GiB"}


def percent(share: float | None, digits: int = 2) -> str:
    """A share between 0 and 1: ``85.36 %``; a dash for None."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def sizes(shape: Sequence[int]) -> str:
    """The axes of an array: ``28×28×1``."""
    return "×".join(map(str, shape)) or "a single number"


def file_size(size: int) -> str:
    """A size in bytes: ``1.64 MiB``, ``3.81 GiB``, ``512 bytes``."""
    if size < _FEW:
        return f"{size:,} bytes"
    if size >= _BEYOND:
        return "more than 1,024 EiB"
    unit, name = next(
        ((unit, name) for unit, name in _LARGE_UNITS.items() if size >= unit), (MEBIBYTE, "MiB")
    )
    return f"{size / unit:,.2f} {name}"
