"""Reads EMNIST's CSV files: blocks of whole lines, parsed by several threads, put down in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import LimitReachedError, UnreadableInputError
from toolkit_emnist.byte_stream import (
    DOWNLOAD_AGAIN,
    BrokenStreamError,
    ByteStream,
    GzipStream,
    open_bytes,
)
from toolkit_emnist.csv_exact import A_LABEL, BadCellError, number_in, parse_odd_rows, shown
from toolkit_emnist.csv_kernel import COLUMNS, PAD, SIDE, Rows, parse_plain_rows
from toolkit_emnist.mapping import LabelMapping

MAX_IMAGES = 2_000_000
BLOCK = 256 * 1024  # bytes: a block, its digits and its masks fit a core's own cache
_SMALLEST_BLOCK = 80 * 1024  # holds the longest line
_BLOCKS_IN_ARRAY = 72  # what the blocks under way take is then less than the array itself
_ARRAY_IN_TEXT, _ARRAY_IN_GZIP = 0.4, 2.5  # bytes of the array for each byte of the file, in EMNIST
_LONGEST_LINE = 64 * 1024
_GROWTH = 1.2

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
    """Read a CSV file of 785 columns, label first, plain or gzip.

    A header line is recognised and skipped. Memory beside the result: a fifth of it, while it
    grows, and a few blocks.

    Args:
        path: The file.
        mapping: Which labels there are.

    Returns:
        Images (n, 28, 28) uint8, upright; class indices (n,) int32.

    Raises:
        MissingInputError: There is no such file.
        UnreadableInputError: Anything in it is not as expected; names row and column.
        LimitReachedError: More than ``MAX_IMAGES`` rows.
    """
    _let_freed_memory_be_reused()
    collected = _CollectedRows(path, mapping)
    with open_bytes(path) as stream:
        blocks = _blocks_of_lines(stream, path)
        try:
            first = next(blocks, None)
            if first is None:
                raise _wrong(path, 1, 1, f"rows of {COLUMNS} numbers", "an empty file")
            first, collected.header_lines = _without_header(first, path)
            for future in _parsed(chain((first,), blocks)):
                collected.add(future)
        except _BrokenRowError as error:
            raise collected.broken_off(error) from error
    return collected.result()


def _let_freed_memory_be_reused() -> None:
    """Keep the C library from handing each block's arrays back to the system and fetching them anew.

    glibc learns the size from which it does so from the largest array that was freed (up to
    32 MB); taught once, reading costs half the time, which otherwise goes into page faults. No
    byte of this array is touched. Elsewhere this does nothing.
    """
    np.empty(16 * 1024 * 1024, np.uint8)


class _BrokenRowError(UnreadableInputError):
    """The stream broke off behind so many columns of a row; the whole rows before it were yielded."""

    def __init__(self, broken: BrokenStreamError, columns: int) -> None:
        super().__init__(broken.message, hint=broken.hint)
        self.reason = broken.reason
        self.columns = columns


def _blocks_of_lines(stream: ByteStream, path: Path) -> Iterator[NDArray[np.uint8]]:
    """The text in blocks: ``PAD`` newlines, then whole lines, the last one ended too."""
    rest: NDArray[np.uint8] = np.empty(0, np.uint8)
    size = _block_size(path, stream)
    while True:
        begin = PAD + len(rest)
        block = np.empty(begin + size, np.uint8)
        block[:PAD] = ord("\n")
        block[PAD:begin] = rest
        try:
            end = begin + stream.read_into(block[begin:].data)
        except BrokenStreamError as error:
            text = block[PAD : begin + error.received].tobytes()
            whole = text.rfind(b"\n") + 1
            if whole:
                yield _padded(text[:whole])
            raise _BrokenRowError(error, text.count(b",", whole)) from error
        if end < len(block):
            last = block[PAD:end].tobytes().rstrip(b" \t\r\n")
            if last:
                yield _padded(last + b"\n")
            return
        longest = max(PAD, end - _LONGEST_LINE)
        newline = block[longest:end].tobytes().rfind(b"\n")
        if newline < 0:
            # Parsed as it stands, the row gets an error that names it and its first wrong column.
            yield _padded(block[PAD:end].tobytes() + b"\n")
            raise UnreadableInputError(
                f"{path}: expected lines of at most {_LONGEST_LINE:,} bytes, received a longer one"
            )
        cut = longest + newline + 1
        rest = block[cut:end].copy()
        yield block[:cut]


def _block_size(path: Path, stream: ByteStream) -> int:
    """Large blocks are faster; small files get smaller ones, for memory is promised by the array."""
    share = _ARRAY_IN_GZIP if isinstance(stream, GzipStream) else _ARRAY_IN_TEXT
    fitting = int(path.stat().st_size * share) // _BLOCKS_IN_ARRAY
    return min(BLOCK, max(_SMALLEST_BLOCK, fitting))


def _padded(text: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(b"\n" * PAD + text, np.uint8)


def _without_header(first: NDArray[np.uint8], path: Path) -> tuple[NDArray[np.uint8], int]:
    """The first block without a header line, and the number of lines taken off."""
    text = first[PAD:].tobytes()
    for magic, what in _FIRST_BYTES.items():
        if text.startswith(magic):
            raise _wrong(path, 1, 1, "a label", what)
    plain = text.removeprefix(_UTF8_MARK)
    line = plain[: plain.index(b"\n")]
    names = line.split(b",")
    header = _is_header(names)
    if header:
        columns = len(names)
        if columns != COLUMNS:
            raise _wrong(
                path, 1, min(columns, COLUMNS) + 1, f"a header of {COLUMNS} columns", f"{columns} columns"
            )
        last = names[-1].strip(b" \t\r\"'").lower()
        if last in _NAMES_OF_LABELS:
            raise _wrong(path, 1, columns, "the label in column 1 and a pixel here", shown(names[-1]))
        plain = plain[len(line) + 1 :]
    return (first if plain is text else _padded(plain)), int(header)


def _is_header(fields: list[bytes]) -> bool:
    """Whether these are names of columns, and not a row with a damaged label."""
    numbers = [number_in(field) for field in fields]
    if numbers == list(range(len(fields))):
        return len(fields) > 1  # what pandas writes above a table that was read without a header
    names_a_column = number_in(fields[0]) is None and fields[0].strip(b" \t\r\"'")[:1].isalpha()
    pixels = numbers[1:]
    return names_a_column and not (pixels and all(number is not None and number < 256 for number in pixels))


def _parsed(blocks: Iterable[NDArray[np.uint8]]) -> Iterator[Future[Rows]]:
    """The rows of each block, in order; NumPy and zlib let several threads work at once."""
    threads = min(4, os.cpu_count() or 1)
    waiting: deque[Future[Rows]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="csv") as pool:
        try:
            for block in blocks:
                waiting.append(pool.submit(_parse, block))
                if len(waiting) > threads + 1:
                    yield waiting.popleft()
        except UnreadableInputError:
            # A wrong row that was read before the file broke off is named first.
            yield from waiting
            raise
        yield from waiting


def _parse(block: NDArray[np.uint8]) -> Rows:
    if len(block) == PAD:
        return Rows.of(np.empty((0, COLUMNS), np.uint8))
    rows = parse_plain_rows(block)
    if rows is None:
        text = block[PAD:].tobytes()
        unix = text.replace(b"\r\n", b"\n")
        rows = parse_plain_rows(_padded(unix)) if len(unix) < len(text) else None
        if rows is None:
            rows = parse_odd_rows(text)
    return rows


class _CollectedRows:
    """Arrays that grow; ``realloc`` moves pages, not bytes, so growing needs no second copy."""

    header_lines = 0

    def __init__(self, path: Path, mapping: LabelMapping) -> None:
        self._path = path
        self._mapping = mapping
        self._index = mapping.index_by_label()
        self._images = np.empty((0, SIDE, SIDE), np.uint8)
        self._labels = np.empty(0, np.int32)
        self._count = 0

    def add(self, future: Future[Rows]) -> None:
        """Put the rows of the next block behind those that are there."""
        try:
            rows = future.result()
        except BadCellError as error:
            line = self._line(error.row)
            expected = str(self._mapping) if error.expected == A_LABEL else error.expected
            raise _wrong(self._path, line, error.column, expected, error.received) from error
        labels = self._index[rows.labels]
        if np.any(labels < 0):
            row = int(np.argmax(labels < 0))
            received = shown(str(rows.labels[row]).encode())
            raise _wrong(self._path, self._line(row), 1, str(self._mapping), received)
        end = self._count + len(labels)
        if end > MAX_IMAGES:
            raise LimitReachedError(f"{self._path}: expected at most {MAX_IMAGES:,} rows, received more")
        if end > len(self._labels):
            self._resize(max(end, int(_GROWTH * self._count)))
        self._images[self._count : end] = rows.images
        self._labels[self._count : end] = labels
        self._count = end

    def broken_off(self, error: _BrokenRowError) -> UnreadableInputError:
        """The error with the place, behind the rows that are there."""
        return _wrong(self._path, self._line(0), error.columns + 1, "more of the file", error.reason)

    def result(self) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """All rows."""
        if not self._count:
            raise _wrong(self._path, 2, 1, f"rows of {COLUMNS} numbers", "nothing after the header")
        self._resize(self._count)
        return self._images, self._labels

    def _line(self, row: int) -> int:
        return self.header_lines + self._count + row + 1

    def _resize(self, rows: int) -> None:
        # No view of either array has left this object yet.
        self._images.resize((rows, SIDE, SIDE), refcheck=False)
        self._labels.resize(rows, refcheck=False)


def _wrong(path: Path, row: int, column: int, expected: str, received: str) -> UnreadableInputError:
    return UnreadableInputError(
        f"{path}: row {row}, column {column}: expected {expected}, received {received}", hint=DOWNLOAD_AGAIN
    )
