"""The CSV reader of toolkit_emnist: what is valid, and that any bytes give a result or a documented error."""

from __future__ import annotations

import gzip
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emnist_rows import BYCLASS, as_csv, some_cells, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from toolkit.errors import ToolkitError
from toolkit_emnist import csv_reader
from toolkit_emnist.csv_kernel import PAD, parse_plain_rows
from toolkit_emnist.csv_reader import read_csv
from toolkit_emnist.csv_table import parse_odd_rows
from toolkit_emnist.mapping import mapping_of

SEMICOLONS = bytes.maketrans(b",", b";")
LETTERS = mapping_of("letters", None)


def upright(cells: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.stack([row[1:].reshape(28, 28).T for row in cells])


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
        ("semicolons", lambda text: text.replace(b",", b";")),
        ("tabs below a header", lambda text: (b"label" + b",p" * 784 + b"\n" + text).replace(b",", b"\t")),
        ("columns of blanks", lambda text: text.replace(b",", b"  ")),
        (
            "semicolons, CR LF and a mark",
            lambda text: b"\xef\xbb\xbf" + text.translate(SEMICOLONS).replace(b"\n", b"\r\n"),
        ),
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
