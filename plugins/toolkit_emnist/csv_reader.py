"""Reads EMNIST's CSV files: blocks of whole lines, parsed by several threads, collected in order."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import LimitReachedError
from toolkit.store.opening import open_file
from toolkit_emnist.byte_stream import BrokenStreamError, ByteStream, damaged
from toolkit_emnist.csv_kernel import COLUMNS, PAD, SIDE, Rows, parse_plain_rows
from toolkit_emnist.csv_table import A_LABEL, BadCellError, parse_odd_rows, separator_of, shown
from toolkit_emnist.mapping import LabelMapping

MAX_IMAGES = 2_000_000
BLOCK = 256 * 1024  # bytes: a block and its masks fit a core's own cache
_LONGEST_LINE = 64 * 1024
_GROWTH = 1.2
_LONGEST_NAME = 32
# glibc returns freed arrays to the system, and fetches them again, unless an array of this size was
# freed before; with it, reading takes half the time. No byte of it is touched.
_REUSED_BY_GLIBC = 16 * 1024 * 1024

_Block = NDArray[np.uint8] | BadCellError

_NAMES_OF_LABELS = (b"label", b"labels", b"class", b"target", b"y")

_UTF8_MARK = b"\xef\xbb\xbf"
_FIRST_BYTES = {
    b"PK\x03\x04": "a zip archive: unpack it first",
    b"\xff\xfe": "text in UTF-16: save it as plain ASCII or UTF-8",
    b"\xfe\xff": "text in UTF-16: save it as plain ASCII or UTF-8",
    b"\x00\x00\x08": "an IDX file: its name should say so",
    b"\x89HDF": "an HDF5 file",
    b"<": "a web page: download the file itself",
    b"version https://git-lfs": "a Git LFS pointer: fetch the file itself with 'git lfs pull'",
}


def read_csv(path: Path, mapping: LabelMapping) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Read a CSV file of 785 columns, label first, plain or gzip; a header line is skipped.

    In addition to the result, this needs a fifth of its memory while it grows, and a few blocks.

    Returns images (n, 28, 28) uint8, upright; class indices (n,) int32.
    """
    np.empty(_REUSED_BY_GLIBC, np.uint8)
    collected = _CollectedRows(path, mapping)
    header_lines = 0
    try:
        with open_file(path) as file:
            blocks = _blocks(ByteStream(file, path))
            first = next(blocks)
            assert isinstance(first, np.ndarray)
            first, separator, header_lines = _without_header(first)
            for rows in _parsed(chain((first,), blocks), separator):
                collected.add(rows)
        return collected.result("nothing after the header" if header_lines else "an empty file")
    except BadCellError as error:
        row = header_lines + collected.count + error.row + 1
        expected = str(mapping) if error.expected == A_LABEL else error.expected
        raise damaged(
            f"{path}: row {row}, column {error.column}: expected {expected}, received {error.received}"
        ) from error


def _blocks(stream: ByteStream) -> Iterator[_Block]:
    """Yield ``PAD`` newlines and whole lines, the last one ended, too; at last, what is wrong after them."""
    rest = np.empty(0, np.uint8)
    while True:
        begin = PAD + len(rest)
        block = np.empty(begin + BLOCK, np.uint8)
        block[:PAD] = ord("\n")
        block[PAD:begin] = rest
        try:
            end = begin + stream.read_into(block[begin:].data)
        except BrokenStreamError as error:
            whole, ended, last = block[PAD : begin + error.received].tobytes().rpartition(b"\n")
            yield _padded(whole + ended)
            columns = len(re.findall(rb"[,;\t|]", last))
            yield BadCellError(0, columns + 1, "more of the file", error.reason)
            return
        if end < len(block):
            last = block[PAD:end].tobytes().rstrip(b" \t\r\n")
            yield _padded(last + b"\n" if last else b"")
            return
        newline = block[-_LONGEST_LINE:].tobytes().rfind(b"\n")
        if newline < 0:
            yield _padded(block[PAD:].tobytes() + b"\n")  # parsing it finds the first wrong column
            yield BadCellError(0, 1, f"a line of at most {_LONGEST_LINE:,} bytes", "a longer one")
            return
        cut = len(block) - _LONGEST_LINE + newline + 1
        yield block[:cut]
        rest = block[cut:].copy()


def _padded(text: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(b"\n" * PAD + text, np.uint8)


def _without_header(block: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bytes | None, int]:
    """The first block without its header, the separator, and the number of header lines."""
    text = block[PAD:].tobytes()
    for magic, what in _FIRST_BYTES.items():
        if text.startswith(magic):
            raise BadCellError(0, 1, "a label", what)
    text = text.removeprefix(_UTF8_MARK)
    line, _, below = text.partition(b"\n")
    separator = separator_of(line)
    names = line.split(separator)
    if not _is_header(names):
        return _padded(text), separator, 0
    columns = len(names)
    if columns != COLUMNS:
        expected = f"a header of {COLUMNS} columns"
        raise BadCellError(0, min(columns, COLUMNS) + 1, expected, f"{columns} columns")
    if _bare(names[-1]) in _NAMES_OF_LABELS:
        raise BadCellError(0, columns, "the label in column 1 and a pixel here", shown(names[-1]))
    return _padded(below), separator, 1


def _is_header(fields: list[bytes]) -> bool:
    """Whether these are names of columns, and not a row with a damaged label."""
    numbers = [int(field) if field.isdigit() else None for field in map(_bare, fields)]
    if numbers == list(range(len(fields))):
        return len(fields) > 1  # what pandas writes above a table that was read without a header
    pixels = numbers[1:]
    return _bare(fields[0])[:1].isalpha() and not (
        pixels and all(number is not None and number < 256 for number in pixels)
    )


def _bare(field: bytes) -> bytes:
    return field.strip(b" \t\r\"'").lower()[:_LONGEST_NAME]


def _parsed(blocks: Iterable[_Block], separator: bytes | None) -> Iterator[Rows]:
    """The rows of each block, in order; NumPy and ISA-L let several threads work at once."""
    threads = min(4, os.cpu_count() or 1)
    waiting: deque[Future[Rows]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="csv") as pool:
        for block in blocks:
            waiting.append(pool.submit(_parse, block, separator))
            if len(waiting) > threads + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _parse(block: _Block, separator: bytes | None) -> Rows:
    if isinstance(block, BadCellError):
        raise block
    rows = parse_plain_rows(block)
    if rows is None:
        text = block[PAD:].tobytes()
        plain = text.replace(b"\r\n", b"\n").replace(separator or b",", b",")
        rows = parse_plain_rows(_padded(plain)) if plain != text else None
        rows = rows or parse_odd_rows(text, separator)
    return rows


class _CollectedRows:
    """Arrays that grow; ``realloc`` moves pages, not bytes, so growing needs no second copy."""

    def __init__(self, path: Path, mapping: LabelMapping) -> None:
        self.count = 0
        self._path = path
        self._index = mapping.index_by_label()
        self._images = np.empty((0, SIDE, SIDE), np.uint8)
        self._labels = np.empty(0, np.int32)

    def add(self, rows: Rows) -> None:
        """Append the rows of the next block."""
        labels = self._index[rows.labels]
        if np.any(labels < 0):
            row = int(np.argmax(labels < 0))
            raise BadCellError(row, 1, A_LABEL, f"'{rows.labels[row]}'")
        end = self.count + len(labels)
        if end > MAX_IMAGES:
            raise LimitReachedError(f"{self._path}: expected at most {MAX_IMAGES:,} rows, received more")
        if end > len(self._labels):
            self._resize(max(end, int(_GROWTH * self.count)))
        self._images[self.count : end] = rows.images
        self._labels[self.count : end] = labels
        self.count = end

    def result(self, if_empty: str) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """All rows; ``if_empty`` says what the file contains instead."""
        if not self.count:
            raise BadCellError(0, 1, f"rows of {COLUMNS} numbers", if_empty)
        self._resize(self.count)
        return self._images, self._labels

    def _resize(self, rows: int) -> None:
        # No view of either array has left this object yet.
        self._images.resize((rows, SIDE, SIDE), refcheck=False)
        self._labels.resize(rows, refcheck=False)
