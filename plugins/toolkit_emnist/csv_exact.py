"""The careful half of the CSV reader: reads what is odd but valid, and names what is wrong."""

from __future__ import annotations

import re

import numpy as np

from toolkit_emnist.csv_kernel import COLUMNS, Rows

_NUMBER = re.compile(rb"0*(\d{1,9})(?:\.0*)?")
_SCIENTIFIC = re.compile(rb"\d\.?\d{0,20}[eE][+-]?\d{1,2}")  # as NumPy's savetxt writes
_LONGEST_SHOWN = 24

A_LABEL = "a label from 0 to 255"


class BadCellError(Exception):
    """A place in a text that is not as it should be.

    Args:
        row: Counted from 0 within the text.
        column: Counted from 1.
        expected: What should stand there.
        received: What stands there.
    """

    def __init__(self, row: int, column: int, expected: str, received: str) -> None:
        super().__init__(row, column, expected, received)
        self.row = row
        self.column = column
        self.expected = expected
        self.received = received


class _Spellings(dict[bytes, int]):
    """Number by the way it is spelt; each spelling is looked at once."""

    def __missing__(self, field: bytes) -> int:
        number = number_in(field)
        if number is None or number > 255:
            raise KeyError(field)
        self[field] = number
        return number


def number_in(field: bytes) -> int | None:
    """The whole number that a field holds, however it is written; None for anything else.

    Blanks, quotes, ``.0`` and a power of ten (``5.5e+01``) are taken.
    """
    bare = field.strip(b" \t\r")
    if len(bare) > 1 and bare[:1] == bare[-1:] == b'"':
        bare = bare[1:-1].strip(b" \t")
    match = _NUMBER.fullmatch(bare)
    if match:
        return int(match[1])
    number = float(bare) if _SCIENTIFIC.fullmatch(bare) else 0.5
    return int(number) if number.is_integer() else None


def parse_odd_rows(text: bytes) -> Rows:
    """Parse lines of 785 numbers, written in any way that :func:`number_in` takes.

    Raises:
        BadCellError: The first place that holds anything else.
    """
    spellings = _Spellings()
    lines = text.removesuffix(b"\n").split(b"\n")
    rows: list[bytes] = []
    for row, line in enumerate(lines):
        fields = line.split(b",")
        try:
            numbers = [spellings[field] for field in fields]
        except KeyError:
            numbers = []
        if len(numbers) != COLUMNS:
            raise _first_bad_cell(row, line, fields)
        rows.append(bytes(numbers))
    return Rows.of(np.frombuffer(b"".join(rows), np.uint8).reshape(-1, COLUMNS))


def _first_bad_cell(row: int, line: bytes, fields: list[bytes]) -> BadCellError:
    if not line.strip():
        return BadCellError(row, 1, f"{COLUMNS} numbers", "an empty line")
    for column, field in enumerate(fields[:COLUMNS], start=1):
        number = number_in(field)
        if number is None or number > 255:
            what = A_LABEL if column == 1 else "a pixel from 0 to 255"
            return BadCellError(row, column, what, shown(field))
    if len(fields) < COLUMNS:
        return BadCellError(
            row, len(fields) + 1, f"a row of {COLUMNS} columns", f"one that ends after {len(fields)}"
        )
    return BadCellError(row, COLUMNS + 1, f"the end of a row of {COLUMNS} columns", f"{len(fields)} columns")


def shown(field: bytes) -> str:
    """A field as an error shows it: printable, short, in quotes."""
    if not field.strip():
        return "nothing" if not field else "blanks"
    text = ascii(field[:_LONGEST_SHOWN].decode("utf-8", errors="backslashreplace"))
    return text if len(field) <= _LONGEST_SHOWN else f"{text} and {len(field) - _LONGEST_SHOWN} bytes more"
