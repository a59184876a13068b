"""The fast half of the CSV reader: whole lines of plain numbers, as arithmetic on all bytes at once.

At every byte, the number that would end there is computed from the byte and the two before it,
whether or not one ends there: with bytes this is faster than checking first. Then the positions
at which numbers end are found, and the numbers there are collected in order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.records import dataclass

SIDE = 28
PIXELS = SIDE * SIDE
COLUMNS = PIXELS + 1
PAD = 4  # separators before the text, so that looking back stays inside

_ZERO, _COMMA, _NEWLINE = np.uint8(ord("0")), np.uint8(ord(",")), np.uint8(ord("\n"))


@dataclass(frozen=True)
class Rows:
    """Some rows of a file.

    Attributes:
        images: (n, 28, 28) uint8, upright.
        labels: (n,) uint8, as in the file.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    @classmethod
    def of(cls, cells: NDArray[np.uint8]) -> Rows:
        """From the cells of a file's rows, (n, 785) uint8, label first, glyphs transposed."""
        images = cells[:, 1:].reshape(-1, SIDE, SIDE).transpose(0, 2, 1)
        return cls(np.ascontiguousarray(images), cells[:, 0].copy())


def parse_plain_rows(text: NDArray[np.uint8]) -> Rows | None:
    """Parse lines of 785 numbers from 0 to 255 of one to three digits.

    The text, uint8, is ``PAD`` newlines, then whole lines, the last byte a newline.

    Returns the rows; None if anything else is in the text, whether unusual or wrong.
    """
    digits = text - _ZERO  # wraps: whatever is not a digit becomes 10 or above
    other = digits > 9

    # A number ends at a digit before a byte that is not a digit.
    ends = np.flatnonzero(other[PAD:] > other[PAD - 1 : -1])
    rows, rest = divmod(len(ends), COLUMNS)
    if rest or np.count_nonzero(other) - PAD != len(ends):
        return None  # a ragged row or an empty field
    if np.count_nonzero(text == _COMMA) != rows * (COLUMNS - 1):
        return None  # a byte that is neither digit, comma nor newline, or ragged rows
    if np.any(text[PAD:][ends[COLUMNS - 1 :: COLUMNS]] != _NEWLINE):
        return None  # ragged rows whose lengths even out

    is_digit = other.view(np.uint8) - np.uint8(1)  # 255 for a digit, 0 for anything else
    digits &= is_digit
    two_digits = is_digit[1:] & is_digit[:-1]
    three_digits = two_digits[1:] & two_digits[:-1]
    if np.any(three_digits[1:] & three_digits[:-1]):
        return None  # a number of four digits or more
    hundreds = digits[:-2] & three_digits
    if hundreds.max() > 2:
        return None  # 300 or more
    hundreds *= np.uint8(100)
    numbers = digits[1:-1] * np.uint8(10)
    numbers += digits[2:]
    numbers += hundreds
    if np.any(numbers < hundreds):
        return None  # 256 to 299: the sum has wrapped

    # numbers[i] ends at text[i + 2], ends[k] at text[PAD - 1 + ends[k]]; "wrap" avoids a check of
    # bounds that cannot fail.
    cells = numbers[PAD - 3 :].take(ends, mode="wrap")
    return Rows.of(cells.reshape(rows, COLUMNS))
