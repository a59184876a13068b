"""A training that is killed goes on as if nothing had happened (R3), and seeds hold across processes (R9)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from toolkit.training.checkpoint import read_checkpoint

pytestmark = pytest.mark.train

BATCHES = 4 * 7  # four epochs of 200 images in batches of 32


def _start(tiny: ModuleType, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, tiny.__file__, str(folder), *options], capture_output=True, text=True, check=False
    )


def _result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def uninterrupted(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return _result(_start(tiny, tmp_path_factory.mktemp("whole")))


def _killed_and_resumed(
    tiny: ModuleType, folder: Path, uninterrupted: dict[str, Any], batches: list[int]
) -> None:
    best = 0.0
    for batch in batches:
        killed = _start(tiny, folder, "--resume", "--kill-at", str(batch))
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        checkpoint = read_checkpoint(folder / "checkpoint")
        if checkpoint is not None:
            assert checkpoint.best_accuracy >= best
            best = checkpoint.best_accuracy
            tiny.read(folder / "model.h5")
    assert _result(_start(tiny, folder, "--resume")) == uninterrupted


def test_killed_in_the_middle_of_an_epoch(
    tiny: ModuleType, tmp_path: Path, uninterrupted: dict[str, Any]
) -> None:
    _killed_and_resumed(tiny, tmp_path, uninterrupted, [17])


@pytest.mark.long
def test_the_same_seed_in_another_process(
    tiny: ModuleType, tmp_path: Path, uninterrupted: dict[str, Any]
) -> None:
    assert _result(_start(tiny, tmp_path / "same")) == uninterrupted
    assert _result(_start(tiny, tmp_path / "other", "--seed", "8"))["digest"] != uninterrupted["digest"]


@pytest.mark.long
@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
def test_killed_at_the_last_batch_of_an_epoch(
    tiny: ModuleType, tmp_path: Path, uninterrupted: dict[str, Any], epoch: int
) -> None:
    _killed_and_resumed(tiny, tmp_path, uninterrupted, [7 * epoch])


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
def test_killed_again_and_again_at_random_batches(
    tiny: ModuleType, tmp_path: Path, uninterrupted: dict[str, Any], seed: int
) -> None:
    random = np.random.default_rng(seed)
    # Fewer than an epoch's batches each time, at first: it must still get on.
    kills = [int(random.integers(1, 7)), int(random.integers(8, 15)), int(random.integers(1, 14))]
    _killed_and_resumed(tiny, tmp_path, uninterrupted, kills)
