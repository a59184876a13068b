"""Bytes of a file that may change, shrink or be no file at all."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from toolkit.errors import MissingInputError, UnreadableInputError
from toolkit.store.byte_source import ByteSource, FileBytes, MemoryBytes

FLOATS = np.arange(6, dtype="<f4")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "a").write_bytes(b"12345678" + FLOATS.tobytes())
    return tmp_path / "a"


def test_arrays_are_read_from_a_file_a_part_of_one_and_memory(path: Path) -> None:
    sources: list[ByteSource] = [FileBytes(path), FileBytes(path, 4, 28), MemoryBytes(path.read_bytes(), 9)]
    for source, offset in zip(sources, (8, 4, 8), strict=True):
        assert np.array_equal(source.read_array(offset, (2, 3), np.dtype("<f4"), "k"), FLOATS.reshape(2, 3))
        assert source.read_bytes(offset, 4) == FLOATS[:1].tobytes()
        assert source.read_bytes(source.size - 4, 100) == FLOATS[-1:].tobytes()
        with source.open() as stream:
            assert stream.read() == path.read_bytes()[8 - offset :]
        with pytest.raises(UnreadableInputError, match="k ends after the end"):
            source.read_array(offset + 1, (2, 3), np.dtype("<f4"), "k")
    assert [source.stored for source in sources] == [32, 32, 9]


@pytest.mark.parametrize("change", ["cut off", "replaced", "rewritten"])
def test_a_file_that_changes_is_refused_and_does_not_end_the_process(path: Path, change: str) -> None:
    source = FileBytes(path)
    if change == "cut off":
        os.truncate(path, 3)
    elif change == "replaced":
        other = path.with_name("b")
        other.write_bytes(path.read_bytes())
        other.replace(path)
    else:
        path.write_bytes(bytes(32))
    with pytest.raises(UnreadableInputError, match="has changed since it was opened"):
        source.read_array(8, (6,), FLOATS.dtype, "k")
    with pytest.raises(UnreadableInputError, match="has changed since it was opened"):
        source.open()


def test_a_file_that_is_cut_off_while_it_is_read_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FileBytes(path)
    real = os.preadv

    def meanwhile(*arguments: object) -> int:
        os.truncate(path, 12)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "preadv", meanwhile)
    with pytest.raises(UnreadableInputError, match="has changed"):
        source.read_array(8, (6,), FLOATS.dtype, "k")


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name, said in (("pipe", "a pipe, not a file"), ("loop", "a link that leads to itself")):
        with pytest.raises(UnreadableInputError, match=f"^{said}"):
            FileBytes(tmp_path / name)
    with pytest.raises(MissingInputError, match=r"^no such file"):
        FileBytes(tmp_path / "missing")


def test_a_part_beyond_the_end_is_refused(path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="cut off"):
        FileBytes(path, 8, 100)
