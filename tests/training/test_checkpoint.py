from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toolkit.errors import DamagedFileError, ToolkitError, UnreadableInputError, UnsupportedError
from toolkit.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from toolkit.training.history import EpochRecord

RECORDS = tuple(
    EpochRecord(epoch, 1 / epoch, 0.5, 2 / epoch, accuracy, 0.001, 1000.0, 1.5)
    for epoch, accuracy in ((1, 0.6), (2, 0.8), (3, 0.7))
)


@pytest.fixture
def checkpoint() -> Checkpoint:
    state = {
        "network/0000": np.arange(6, dtype=np.float32).reshape(2, 3),
        "network/0001": np.array([3, 4], dtype=np.uint32),
        "optimizer/0000": np.array(17, dtype=np.int64),
    }
    best = {"network/0000": np.ones((2, 3), dtype=np.float32)}
    return Checkpoint("abc", RECORDS, 2, state, best)


def test_what_is_read_is_what_was_written(tmp_path: Path, checkpoint: Checkpoint) -> None:
    write_checkpoint(tmp_path / "checkpoint", checkpoint)
    found = read_checkpoint(tmp_path / "checkpoint")
    assert found is not None
    assert (found.run, found.records, found.best_epoch) == ("abc", RECORDS, 2)
    assert found.epochs == 3
    assert found.best_accuracy == 0.8
    for mine, theirs in ((checkpoint.state, found.state), (checkpoint.best, found.best)):
        assert mine.keys() == theirs.keys()
        for name in mine:
            assert mine[name].dtype == theirs[name].dtype
            assert mine[name].shape == theirs[name].shape
            assert (mine[name] == theirs[name]).all()


def test_no_file_is_no_checkpoint(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path / "checkpoint") is None


def test_a_damaged_checkpoint_is_refused(tmp_path: Path, checkpoint: Checkpoint) -> None:
    path = tmp_path / "checkpoint"
    write_checkpoint(path, checkpoint)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(whole)
        if random.random() < 0.5:
            damaged[int(random.integers(len(whole)))] ^= 1 << int(random.integers(8))
        else:
            del damaged[int(random.integers(len(whole))) :]
        path.write_bytes(damaged)
        with pytest.raises(ToolkitError):
            read_checkpoint(path)
    path.write_bytes(whole[:-1])
    with pytest.raises(DamagedFileError, match="start a new run"):
        read_checkpoint(path)


def test_another_version_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b"toolkit checkpoint 9\nwhatever")
    with pytest.raises(UnsupportedError, match="another version"):
        read_checkpoint(tmp_path / "checkpoint")


def test_a_checkpoint_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(UnreadableInputError, match="checkpoint: a folder"):
        read_checkpoint(tmp_path / "checkpoint")
