"""The CSV reader of toolkit_emnist."""

from __future__ import annotations

import gzip
import io
import re
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from toolkit.errors import LimitReachedError, MissingInputError, ToolkitError, UnreadableInputError
from toolkit_emnist import csv_reader
from toolkit_emnist.csv_exact import parse_odd_rows
from toolkit_emnist.csv_kernel import PAD, parse_plain_rows
from toolkit_emnist.csv_reader import read_csv
from toolkit_emnist.mapping import mapping_of

BYCLASS = mapping_of("byclass", None)
LETTERS = mapping_of("letters", None)


def some_cells(rows: int, seed: int = 0) -> NDArray[np.uint8]:
    """Rows as in a file: mostly zeros, with strokes of one, two and three digits."""
    random = np.random.default_rng(seed)
    cells = random.integers(0, 256, (rows, 785)).astype(np.uint8)
    cells[random.random((rows, 785)) < 0.6] = 0
    cells[:, 0] = random.integers(0, 62, rows)
    return cells


def as_csv(cells: Any, end: str = "\n") -> bytes:
    return "".join(",".join(map(str, row)) + end for row in np.asarray(cells).tolist()).encode()


def upright(cells: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.stack([row[1:].reshape(28, 28).T for row in cells])


def written(folder: Path, content: bytes, name: str = "emnist-byclass-train.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def assert_reads(path: Path, cells: NDArray[np.uint8]) -> None:
    images, labels = read_csv(path, BYCLASS)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int32
    assert images.flags.c_contiguous
    np.testing.assert_array_equal(images, upright(cells))
    np.testing.assert_array_equal(labels, cells[:, 0])


def read_or_complaint(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int32]] | str:
    try:
        return read_csv(path, BYCLASS)
    except ToolkitError as error:
        return str(error)


def replaced(content: bytes, row: int, column: int, field: bytes) -> bytes:
    lines = content.split(b"\n")
    fields = lines[row - 1].split(b",")
    fields[column - 1] = field
    lines[row - 1] = b",".join(fields)
    return b"\n".join(lines)


# --- what is valid ---------------------------------------------------------------------------


def test_glyphs_become_upright_and_labels_indices(tmp_path: Path) -> None:
    cells = some_cells(3)
    assert_reads(written(tmp_path, as_csv(cells)), cells)


def test_many_blocks_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK", 70_000)
    cells = some_cells(700)
    assert_reads(written(tmp_path, as_csv(cells)), cells)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("gzip", gzip.compress),
        ("gzip of two members", lambda text: gzip.compress(text[:5000]) + gzip.compress(text[5000:])),
        ("gzip padded with zeros", lambda text: gzip.compress(text) + bytes(512)),
        ("no newline at the end", lambda text: text.removesuffix(b"\n")),
        ("empty lines at the end", lambda text: text + b"\n\r\n \n"),
        ("CR LF", lambda text: text.replace(b"\n", b"\r\n")),
        ("CR CR LF", lambda text: text.replace(b"\n", b"\r\r\n")),
        ("UTF-8 mark", lambda text: b"\xef\xbb\xbf" + text),
        ("header", lambda text: b"label," + b",".join(b"pixel%d" % n for n in range(784)) + b"\n" + text),
        ("header of places", lambda text: b"label" + b",1x1" * 784 + b"\r\n" + text),
        ("header in quotes", lambda text: b'"label"' + b',"p"' * 784 + b"\n" + text),
        ("header of numbers", lambda text: b",".join(b"%d" % n for n in range(785)) + b"\n" + text),
        ("header after a mark", lambda text: b"\xef\xbb\xbflabel" + b",p" * 784 + b"\n" + text),
        ("quoted", lambda text: re.sub(rb"(\d+)", rb'"\1"', text)),
        ("blanks", lambda text: text.replace(b",", b" ,\t")),
        ("floats", lambda text: re.sub(rb"(\d+)", rb"\1.0", text)),
        ("savetxt's floats", lambda text: re.sub(rb"\d+", lambda number: b"%.18e" % int(number[0]), text)),
        ("leading zeros", lambda text: re.sub(rb"(\d+)", rb"0000\1", text)),
        ("two leading zeros", lambda text: re.sub(rb"\b(\d)\b", rb"00\1", text)),
    ],
)
def test_valid_files_in_all_their_variety(tmp_path: Path, name: str, change: Any) -> None:
    cells = some_cells(20)
    assert_reads(written(tmp_path, change(as_csv(cells))), cells)


def test_extremes_of_every_number_of_digits(tmp_path: Path) -> None:
    cells = np.zeros((62, 785), np.uint8)
    cells[:, 0] = np.arange(62)
    cells[:, 1:] = np.resize(np.arange(256, dtype=np.uint8), (62, 784))
    cells[3, 1:] = 255
    cells[4, 1:] = 0
    assert_reads(written(tmp_path, as_csv(cells)), cells)


def test_labels_of_letters_shift_to_indices_from_0(tmp_path: Path) -> None:
    cells = some_cells(26)
    cells[:, 0] = np.arange(1, 27)
    _, labels = read_csv(written(tmp_path, as_csv(cells)), LETTERS)
    assert labels.tolist() == list(range(26))


def test_fast_and_careful_ways_agree_on_real_rows(shared: Path) -> None:
    with (shared / "data/emnist/emnist-byclass-test.csv").open("rb") as file:
        text = b"".join(file.readline() for _ in range(300))
    fast = parse_plain_rows(np.frombuffer(b"\n" * PAD + text, np.uint8))
    assert fast is not None
    careful = parse_odd_rows(text)
    np.testing.assert_array_equal(fast.images, careful.images)
    np.testing.assert_array_equal(fast.labels, careful.labels)


def test_real_file_equals_what_numpy_reads(shared: Path) -> None:
    path = shared / "data/emnist/emnist-byclass-test.csv"
    cells = np.loadtxt(path, delimiter=",", dtype=np.uint8, max_rows=2_000)
    images, labels = read_csv(path, BYCLASS)
    assert images.shape == (12_000, 28, 28)
    np.testing.assert_array_equal(images[:2_000], upright(cells))
    np.testing.assert_array_equal(labels[:2_000], cells[:, 0])


def test_real_gzip_file_is_read_whole(shared: Path) -> None:
    images, labels = read_csv(shared / "data/emnist/emnist-byclass-train.csv.gz", BYCLASS)
    assert images.shape == (84_989, 28, 28)
    assert set(labels.tolist()) == set(range(62))


def test_memory_beside_the_array_is_at_most_half_of_it(shared: Path) -> None:
    tracemalloc.start()
    try:
        images, _ = read_csv(shared / "data/emnist/emnist-byclass-train.csv.gz", BYCLASS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * images.nbytes


# --- what is wrong: one line that names file, row, column, expected and received --------------


@pytest.mark.parametrize(
    ("row", "column", "field", "expected", "received"),
    [
        (1, 2, b"256", "a pixel from 0 to 255", "'256'"),
        (7, 785, b"300", "a pixel from 0 to 255", "'300'"),
        (7, 400, b"1000", "a pixel from 0 to 255", "'1000'"),
        (7, 400, b"-1", "a pixel from 0 to 255", "'-1'"),
        (7, 400, b"+1", "a pixel from 0 to 255", "'+1'"),
        (7, 400, b"1e400", "a pixel from 0 to 255", "'1e400'"),
        (7, 400, b"nan", "a pixel from 0 to 255", "'nan'"),
        (7, 400, b"0.5", "a pixel from 0 to 255", "'0.5'"),
        (7, 400, b"1 2", "a pixel from 0 to 255", "'1 2'"),
        (7, 400, b'"1', "a pixel from 0 to 255", "'\"1'"),
        (7, 400, b"", "a pixel from 0 to 255", "nothing"),
        (7, 400, b"  ", "a pixel from 0 to 255", "blanks"),
        (7, 400, b"\0", "a pixel from 0 to 255", r"'\x00'"),
        (7, 400, "ä".encode(), "a pixel from 0 to 255", r"'\xe4'"),
        (7, 400, b"9" * 100, "a pixel from 0 to 255", "and 76 bytes more"),
        (7, 785, b"1,2", "the end of a row of 785 columns", "786 columns"),
        (20, 1, b"62", "a label from 0 to 61", "'62'"),
        (20, 1, b"255", "a label from 0 to 61", "'255'"),
        (20, 1, b"256", "a label from 0 to 61", "'256'"),
        (1, 1, b"x", "a label from 0 to 61", "'x'"),
        (1, 1, b"label", "a label from 0 to 61", "'label'"),
    ],
)
@pytest.mark.parametrize("way", ["plain", "quoted elsewhere", "after many blocks"])
def test_a_wrong_field_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    row: int,
    column: int,
    field: bytes,
    expected: str,
    received: str,
) -> None:
    content = replaced(as_csv(some_cells(20)), row, column, field)
    if way == "quoted elsewhere":
        content = replaced(content, 5, 5, b'"5"')
    if way == "after many blocks":
        monkeypatch.setattr(csv_reader, "BLOCK", 66_000)
        content, row = as_csv(some_cells(150, 1)) + content, row + 150
    if (row, column, field) == (1, 785, b"1,2"):
        column = 786
    with pytest.raises(UnreadableInputError) as caught:
        read_csv(written(tmp_path, content), BYCLASS)
    message = caught.value.message
    where = f"emnist-byclass-train.csv: row {row}, column {786 if field == b'1,2' else column}: "
    assert where in message
    assert f"expected {expected}, received " in message
    assert message.endswith(received)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [1, 2, 784])
def test_a_short_row_is_named(tmp_path: Path, kept: int) -> None:
    lines = as_csv(some_cells(9)).splitlines(keepends=True)
    lines[4] = b",".join(lines[4].split(b",")[:kept]) + b"\n"
    with pytest.raises(UnreadableInputError) as caught:
        read_csv(written(tmp_path, b"".join(lines)), BYCLASS)
    assert f"row 5, column {kept + 1}: expected a row of 785 columns" in caught.value.message


def test_two_ragged_rows_that_even_out_are_not_taken_for_good_ones(tmp_path: Path) -> None:
    lines = as_csv(some_cells(9)).splitlines(keepends=True)
    lines[2] = lines[2].rpartition(b",")[0] + b"\n"
    lines[3] = lines[3].strip() + b",0\n"
    with pytest.raises(UnreadableInputError, match="row 3, column 785"):
        read_csv(written(tmp_path, b"".join(lines)), BYCLASS)


def test_an_empty_line_between_rows_is_named(tmp_path: Path) -> None:
    content = as_csv(some_cells(2)) + b"\n" + as_csv(some_cells(2))
    with pytest.raises(
        UnreadableInputError, match=r"row 3, column 1: expected 785 numbers, received an empty"
    ):
        read_csv(written(tmp_path, content), BYCLASS)


def test_rows_are_counted_with_the_header(tmp_path: Path) -> None:
    header = b"label" + b",p" * 784 + b"\n"
    content = header + replaced(as_csv(some_cells(3)), 3, 9, b"x")
    with pytest.raises(UnreadableInputError, match="row 4, column 9"):
        read_csv(written(tmp_path, content), BYCLASS)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "an empty file"),
        (b"\n\n  \n", "an empty file"),
        (gzip.compress(b"", mtime=0), "an empty file"),
        (b"label" + b",p" * 784 + b"\n", "nothing after the header"),
        (b"label,p0,p1\n1,2,3\n", "a header of 785 columns, received 3 columns"),
        (
            b"p," * 784 + b"label\n" + as_csv(some_cells(1)),
            "row 1, column 785: expected the label in column 1",
        ),
        (as_csv(some_cells(1)).decode().encode("utf-16"), "text in UTF-16"),
        (as_csv(some_cells(1)).decode().encode("utf-16-le"), "row 1, column 1: expected a label"),
        (b"PK\x03\x04rest\n", "a zip archive"),
        (b"<!DOCTYPE html>\n<html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"\x00\x00\x08\x03\x00", "an IDX file"),
        (as_csv(some_cells(3), end="\r"), "row 1"),
        (b"7" * 1_000_000, "row 1, column 1"),
        (b"7" * 1_000_000 + b"\n", "row 1, column 1"),
    ],
)
def test_other_kinds_of_files_are_told(tmp_path: Path, content: bytes, complaint: str) -> None:
    with pytest.raises(UnreadableInputError) as caught:
        read_csv(written(tmp_path, content), BYCLASS)
    assert complaint in caught.value.message
    assert "emnist-byclass-train.csv" in caught.value.message


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such file"):
        read_csv(tmp_path / "emnist-byclass-train.csv", BYCLASS)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.999])
def test_a_truncated_gzip_is_told_with_the_place(
    tmp_path: Path, kept: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK", 70_000)
    header = b"label" + b",p" * 784 + b"\n"
    content = gzip.compress(header + as_csv(some_cells(200)))
    content = content[: int(kept * len(content))]
    lines = zlib.decompressobj(31).decompress(content).split(b"\n")
    place = f"row {len(lines)}, column {lines[-1].count(b',') + 1}: expected more of the file"
    with pytest.raises(UnreadableInputError) as caught:
        read_csv(written(tmp_path, content), BYCLASS)
    assert f"{place}, received truncated gzip: the file ends after" in caught.value.message


def test_a_gzip_that_ends_before_its_first_row_does_is_told_with_the_place(tmp_path: Path) -> None:
    content = gzip.compress(as_csv(some_cells(1)))[:12]
    with pytest.raises(UnreadableInputError, match=r"row 1, column \d+: .* truncated gzip"):
        read_csv(written(tmp_path, content), BYCLASS)


def test_a_gzip_whose_checksum_does_not_fit_is_told(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(as_csv(some_cells(20))))
    content[-6] ^= 1
    with pytest.raises(UnreadableInputError, match="not readable as gzip"):
        read_csv(written(tmp_path, bytes(content)), BYCLASS)


def test_a_wrong_row_before_the_truncation_is_named_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK", 70_000)
    content = gzip.compress(replaced(as_csv(some_cells(200)), 60, 2, b"x"))
    with pytest.raises(UnreadableInputError, match="row 60, column 2"):
        read_csv(written(tmp_path, content[:-1000]), BYCLASS)


def test_a_gzip_bomb_costs_little(tmp_path: Path) -> None:
    content = io.BytesIO()
    with gzip.GzipFile(fileobj=content, mode="wb") as file:
        for _ in range(200):
            file.write(bytes(1_000_000))
    with pytest.raises(UnreadableInputError, match="row 1, column 1"):
        read_csv(written(tmp_path, content.getvalue()), BYCLASS)


def test_more_rows_than_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "MAX_IMAGES", 10)
    with pytest.raises(LimitReachedError, match="at most 10 rows"):
        read_csv(written(tmp_path, as_csv(some_cells(11))), BYCLASS)


# --- any bytes give a result or a documented error --------------------------------------------

PIECES = st.sampled_from(
    [
        b"256",
        b"-1",
        b"1e400",
        b'"',
        b'""',
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b",,",
        b"\r\n",
        b"\r",
        b"\n\n",
    ]
)
MORE_PIECES = st.sampled_from(
    [b" ", b"label", b"99999999999", b"0.0", b".", b"1" * 5000, b"\x1f\x8b", "٣".encode(), b",", b""]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(
        st.tuples(
            st.integers(0, 6_000), st.integers(0, 40), st.one_of(PIECES, MORE_PIECES, st.binary(max_size=8))
        )
    ),
    compressed=st.booleans(),
    cut=st.integers(0, 200),
)
def test_damage_gives_the_rows_or_a_toolkit_error(
    tmp_path: Path, edits: list[tuple[int, int, bytes]], compressed: bool, cut: int
) -> None:
    content = as_csv(some_cells(3))
    for at, removed, added in edits:
        content = content[:at] + added + content[at + removed :]
    if compressed:
        content = gzip.compress(content, 1)
        content = content[: len(content) - cut] if cut else content
    path = written(tmp_path, content)
    received = read_or_complaint(path)
    if isinstance(received, str):
        assert path.name in received
        assert "\n" not in received
    else:
        images, labels = received
        assert images.shape == (len(labels), 28, 28)
        assert len(labels) > 0
        assert labels.min() >= 0
        assert labels.max() < 62


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=3_000))
def test_any_bytes_give_a_toolkit_error(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ToolkitError, match="emnist-byclass-train"):
        read_csv(written(tmp_path, content), BYCLASS)


@settings(max_examples=150, deadline=None)
@given(edits=st.lists(st.tuples(st.integers(0, 4_000), st.sampled_from(list(b'0123456789,\n "-')))))
def test_the_fast_way_takes_nothing_that_the_careful_way_refuses(edits: list[tuple[int, int]]) -> None:
    content = bytearray(as_csv(some_cells(2)))
    for at, byte in edits:
        content[at % (len(content) - 1)] = byte
    text = bytes(content)
    fast = parse_plain_rows(np.frombuffer(b"\n" * PAD + text, np.uint8))
    if fast is not None:
        careful = parse_odd_rows(text)
        np.testing.assert_array_equal(fast.images, careful.images)
        np.testing.assert_array_equal(fast.labels, careful.labels)
