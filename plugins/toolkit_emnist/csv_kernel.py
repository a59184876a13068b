"""The fast half of the CSV reader: whole lines of plain numbers, by position, without a loop.

Three of four pixels are the field ``0``, two bytes with its separator. So a field that ends at
byte ``e`` of the text is number ``(e - x) / 2``, where ``x`` counts the second and third digits
up to there; only fields other than ``0`` need to be looked at, and their numbers follow from
one cumulative sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SIDE = 28
PIXELS = SIDE * SIDE
COLUMNS = PIXELS + 1
PAD = 4  # separators in front of the text, so that looking three digits back stays inside

_ZERO, _COMMA, _NEWLINE = np.uint8(ord("0")), np.uint8(ord(",")), np.uint8(ord("\n"))


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a file.

    Attributes:
        pixels: (n, 784) uint8, upright.
        labels: (n,) uint8, as they stand in the file.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def parse_plain_rows(text: NDArray[np.uint8]) -> Rows | None:
    """Parse lines of 785 numbers of one to three digits.

    Args:
        text: ``PAD`` newlines, then whole lines, the last byte a newline; uint8.

    Returns:
        The rows, or None when anything at all is not as plain as this: the caller then looks
        closer, and finds out whether it is odd or wrong.
    """
    digits = text - _ZERO  # wraps: whatever is not a digit becomes 10 or above
    other = digits > 9
    newlines = np.flatnonzero(text[PAD:] == _NEWLINE)
    fields = COLUMNS * len(newlines)
    separators = np.count_nonzero(other) - PAD
    if separators != fields or np.count_nonzero(text == _COMMA) + len(newlines) != fields:
        return None

    ends = other[PAD:] > other[PAD - 1 : -1]
    if np.count_nonzero(ends) != fields:
        return None  # an empty field
    lone_zero = digits[PAD - 1 : -1] == 0
    lone_zero &= other[PAD - 2 : -2]
    np.greater(ends, lone_zero, out=ends)
    at = np.flatnonzero(ends)  # a field ends at text[PAD - 1 + at]

    value, tens, hundreds = (digits[PAD - 1 - back :][at] for back in range(3))
    has_tens = tens < 10
    has_hundreds = hundreds < 10
    has_hundreds &= has_tens
    tens *= 10
    tens *= has_tens
    value += tens
    if np.any(has_hundreds & ((hundreds > 2) | ((hundreds == 2) & (value > 55)))):
        return None  # over 255
    hundreds *= 100
    hundreds *= has_hundreds
    value += hundreds

    extra = np.cumsum(has_tens.view(np.uint8) + has_hundreds.view(np.uint8), dtype=np.int64)
    if len(text) - PAD != 2 * fields + (int(extra[-1]) if len(extra) else 0):
        return None  # a field of four digits or more
    if not _every_row_ends_in_place(newlines, at, extra):
        return None

    at -= extra
    at -= 1
    at >>= 1
    cells = np.zeros(_capacity(len(newlines)) * COLUMNS, np.uint8)
    cells[_upright_places(_capacity(len(newlines)))[at]] = value
    first_label = _capacity(len(newlines)) * PIXELS
    return Rows(
        cells[: len(newlines) * PIXELS].reshape(-1, PIXELS),
        cells[first_label : first_label + len(newlines)],
    )


def _every_row_ends_in_place(
    newlines: NDArray[np.int64], at: NDArray[np.int64], extra: NDArray[np.int64]
) -> bool:
    before = np.concatenate([np.zeros(1, np.int64), extra])[np.searchsorted(at - 1, newlines)]
    last_fields = COLUMNS * np.arange(1, len(newlines) + 1) - 1
    return bool(np.array_equal(newlines - 1 - before, 2 * last_fields))


def _capacity(rows: int) -> int:
    # A few sizes only, so that the table below is made once or twice a file.
    return 1 << max(rows - 1, 1).bit_length()


@lru_cache(maxsize=4)
def _upright_places(rows: int) -> NDArray[np.int64]:
    """Where field k of a text goes: upright pixels of all rows first, then all labels."""
    row, column = np.divmod(np.arange(rows * COLUMNS), COLUMNS)
    down, across = np.divmod(column - 1, SIDE)
    places = np.where(column == 0, rows * PIXELS + row, row * PIXELS + across * SIDE + down)
    places.flags.writeable = False
    return places
