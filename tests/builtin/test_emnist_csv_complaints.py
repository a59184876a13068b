"""What is wrong in a CSV file: one line that names file, row, column, expected and received."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

import pytest
from emnist_rows import BYCLASS, as_csv, replaced, some_cells, written

from toolkit.errors import LimitReachedError, MissingInputError, UnreadableInputError
from toolkit_emnist import csv_reader
from toolkit_emnist.csv_reader import read_csv


@pytest.mark.parametrize(
    ("row", "column", "field", "expected", "received"),
    [
        (1, 2, b"256", "a pixel from 0 to 255", "'256'"),
        (7, 785, b"300", "a pixel from 0 to 255", "'300'"),
        (7, 400, b"1000", "a pixel from 0 to 255", "'1000'"),
        (7, 400, b"-1", "a pixel from 0 to 255", "'-1'"),
        (7, 400, b"1+", "a pixel from 0 to 255", "'1+'"),
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


@pytest.mark.parametrize("separator", [b";", b"\t", b"|", b" "])
def test_a_wrong_field_is_named_whatever_the_separator(tmp_path: Path, separator: bytes) -> None:
    content = replaced(as_csv(some_cells(9)), 7, 400, b"256").replace(b",", separator)
    with pytest.raises(UnreadableInputError, match=r"row 7, column 400: .* received '256'"):
        read_csv(written(tmp_path, content), BYCLASS)


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
def test_other_kinds_of_files_are_reported(tmp_path: Path, content: bytes, complaint: str) -> None:
    with pytest.raises(UnreadableInputError) as caught:
        read_csv(written(tmp_path, content), BYCLASS)
    assert complaint in caught.value.message
    assert "emnist-byclass-train.csv" in caught.value.message


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such file"):
        read_csv(tmp_path / "emnist-byclass-train.csv", BYCLASS)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.999])
def test_a_truncated_gzip_is_reported_with_the_place(
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


def test_a_gzip_that_ends_before_its_first_row_does_is_reported_with_the_place(tmp_path: Path) -> None:
    content = gzip.compress(as_csv(some_cells(1)))[:12]
    with pytest.raises(UnreadableInputError, match=r"row 1, column \d+: .* truncated gzip"):
        read_csv(written(tmp_path, content), BYCLASS)


def test_a_gzip_whose_checksum_does_not_fit_is_reported(tmp_path: Path) -> None:
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
