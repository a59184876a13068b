"""The careful half of the CSV reader: reads what is unusual and finds the first wrong cell."""

from __future__ import annotations

from itertools import chain

import numpy as np

from toolkit_emnist.csv_kernel import COLUMNS, Rows

A_LABEL = "a label from 0 to 255"

_LONGEST_SHOWN = 24


class BadCellError(Exception):
    """The first wrong cell of a text; rows are counted from 0, columns from 1."""

    def __init__(self, row: int, column: int, expected: str, received: str) -> None:
        super().__init__(row, column, expected, received)
        self.row, self.column, self.expected, self.received = row, column, expected, received


def separator_of(line: bytes) -> bytes | None:
    """The separator of a file by its first line: comma, semicolon, tab or bar; None for blanks."""
    found = next((bytes([byte]) for byte in b",;\t|" if byte in line), None)
    return found or (None if len(line.split()) > 1 else b",")


def parse_odd_rows(text: bytes, separator: bytes | None = b",") -> Rows:
    """Parse lines of 785 whole numbers, with quotes, blanks, decimal points or powers of ten."""
    import pandas as pd

    rows = [line.split(separator) for line in text.removesuffix(b"\n").split(b"\n")]
    ragged = next((row for row, fields in enumerate(rows) if len(fields) != COLUMNS), len(rows))
    last = [] if ragged == len(rows) or not b"".join(rows[ragged]).strip() else rows[ragged][:COLUMNS]
    cells = np.array([*chain(*rows[:ragged], last)], object)
    codes, spellings = pd.factorize(cells)  # there are few, and each is read once
    numbers = pd.to_numeric(pd.Series(map(_bare, spellings), dtype=object), errors="coerce").to_numpy(float)
    valid = (numbers >= 0) & (numbers <= 255) & (numbers == np.floor(numbers))
    wrong = np.flatnonzero(~valid[codes])
    if len(wrong):
        row, column = divmod(int(wrong[0]), COLUMNS)
        expected = "a pixel from 0 to 255" if column else A_LABEL
        raise BadCellError(row, column + 1, expected, shown(rows[row][column]))
    if ragged < len(rows):
        columns = len(rows[ragged])
        if not last:
            raise BadCellError(ragged, 1, f"{COLUMNS} numbers", "an empty line")
        if columns < COLUMNS:
            expected = f"a row of {COLUMNS} columns"
            raise BadCellError(ragged, columns + 1, expected, f"one that ends after {columns}")
        raise BadCellError(
            ragged, COLUMNS + 1, f"the end of a row of {COLUMNS} columns", f"{columns} columns"
        )
    return Rows.of(numbers[codes].astype(np.uint8).reshape(-1, COLUMNS))


def _bare(field: bytes) -> str:
    """A field without blanks and quotes around it."""
    bare = field.strip(b" \t\r")
    if len(bare) > 1 and bare[:1] == bare[-1:] == b'"':
        bare = bare[1:-1]
    return bare.decode("ascii", errors="backslashreplace")


def shown(field: bytes) -> str:
    """A field as an error shows it: printable, short, in quotes."""
    if not field.strip():
        return "nothing" if not field else "blanks"
    text = ascii(field[:_LONGEST_SHOWN].decode("utf-8", errors="backslashreplace"))
    return text if len(field) <= _LONGEST_SHOWN else f"{text} and {len(field) - _LONGEST_SHOWN} bytes more"
