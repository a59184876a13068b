"""The careful half of the CSV reader: pandas reads what is unusual and finds the first wrong cell."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit_emnist.csv_kernel import COLUMNS, Rows

A_LABEL = "a label from 0 to 255"
BLANKS = r"\s+"  # the separator of files whose columns are separated by blanks

_LONGEST_SHOWN = 24


class BadCellError(Exception):
    """The first wrong cell of a text; rows are counted from 0, columns from 1."""

    def __init__(self, row: int, column: int, expected: str, received: str) -> None:
        super().__init__(row, column, expected, received)
        self.row, self.column, self.expected, self.received = row, column, expected, received


def separator_of(line: bytes) -> str:
    """The separator of a file by its first line: comma, semicolon, tab, bar or blanks."""
    found = next((chr(byte) for byte in b",;\t|" if byte in line), "")
    return found or (BLANKS if len(line.split()) > 1 else ",")


def parse_odd_rows(text: bytes, separator: str = ",") -> Rows:
    """Parse lines of 785 whole numbers, with quotes, blanks, decimal points or powers of ten.

    Raises:
        BadCellError: The first cell that is not a number from 0 to 255, or the end of the first
            row of another length.
    """
    try:
        numbers = _read(text, separator, dtype=np.float64)
        if np.isnan(numbers[:, COLUMNS]).all() and _are_bytes(numbers[:, :COLUMNS]).all():
            return Rows.of(numbers[:, :COLUMNS].astype(np.uint8))
    except ValueError:
        pass  # pandas does not say in which row
    return _parse_texts(text, separator)


def _parse_texts(text: bytes, separator: str) -> Rows:
    import pandas as pd

    cells = _read(text, separator, dtype=str, na_filter=False, quoting=csv.QUOTE_NONE)
    bare = pd.Series(cells.ravel()).str.replace(r'^\s*"(.*)"\s*$', r"\1", regex=True)
    numbers = pd.to_numeric(bare, errors="coerce").to_numpy(np.float64).reshape(cells.shape)
    valid = _are_bytes(numbers)
    valid[:, COLUMNS] = cells[:, COLUMNS] == ""
    if valid.all():
        return Rows.of(numbers[:, :COLUMNS].astype(np.uint8))
    row, column = divmod(int(np.argmin(valid)), COLUMNS + 1)
    line = text.split(b"\n")[row]
    fields = line.split(None if separator == BLANKS else separator.encode())
    if not line.strip():
        raise BadCellError(row, 1, f"{COLUMNS} numbers", "an empty line")
    if column == COLUMNS:
        raise BadCellError(
            row, column + 1, f"the end of a row of {COLUMNS} columns", f"{len(fields)} columns"
        )
    if column >= len(fields):
        received = f"one that ends after {len(fields)}"
        raise BadCellError(row, len(fields) + 1, f"a row of {COLUMNS} columns", received)
    expected = "a pixel from 0 to 255" if column else A_LABEL
    raise BadCellError(row, column + 1, expected, shown(fields[column]))


def _read(text: bytes, separator: str, **settings: Any) -> NDArray[Any]:
    """The cells of the text, and one more column for whatever else a row holds."""
    import pandas as pd

    # pandas takes the number of columns from the first line.
    first = (" " if separator == BLANKS else separator).join(["0"] * (COLUMNS + 1))
    table = pd.read_csv(
        io.BytesIO(first.encode() + b"\n" + text),
        sep=separator,
        header=None,
        index_col=False,
        names=range(COLUMNS + 1),
        usecols=range(COLUMNS + 1),  # longer rows are cut, not refused
        lineterminator="\n",
        skip_blank_lines=False,
        encoding_errors="backslashreplace",
        low_memory=False,
        **settings,
    )
    cells: NDArray[Any] = table.to_numpy()[1:]
    return cells


def _are_bytes(numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        valid: NDArray[np.bool_] = (numbers >= 0) & (numbers <= 255) & (numbers == np.floor(numbers))
    return valid


def shown(field: bytes) -> str:
    """A field as an error shows it: printable, short, in quotes."""
    if not field.strip():
        return "nothing" if not field else "blanks"
    text = ascii(field[:_LONGEST_SHOWN].decode("utf-8", errors="backslashreplace"))
    return text if len(field) <= _LONGEST_SHOWN else f"{text} and {len(field) - _LONGEST_SHOWN} bytes more"
