"""The loop over epochs, with a network that computes nothing and a clock that only it moves."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from toolkit.engine import Evaluation
from toolkit.errors import PlanRefusedError, UnreadableInputError, UnsupportedError
from toolkit.training.checkpoint import Checkpoint, read_checkpoint
from toolkit.training.folder import RunFolder
from toolkit.training.options import TrainingOptions
from toolkit.training.trainer import Trainer
from toolkit.vocabulary import SilentProgress

COMPILING, STEP, EVALUATING = 30.0, 0.5, 2.0  # seconds


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class State:
    """Takes half a second a step, and half a minute more for the first."""

    def __init__(self, clock: Clock, loss_at: Callable[[int], float], failure: Exception | None) -> None:
        self._clock = clock
        self._loss_at = loss_at
        self._failure = failure

    def train_step(self, images: Any, labels: Any, *, step: int, rate: float) -> tuple[float, int]:
        self._clock.now += STEP if step else COMPILING
        return self._loss_at(step), 1

    def recalibrate(self, images: Any) -> None:
        if self._failure is not None and len(images):
            raise self._failure

    def evaluate(self, dataset: Any) -> Evaluation:
        self._clock.now += EVALUATING
        right = np.zeros(len(dataset), dtype=np.bool_)
        return Evaluation(len(dataset), 0.5, 0.4, 0.6, 1.0, np.zeros((4, 4), dtype=np.int64), right)

    def state(self) -> dict[str, Any]:
        return {}


class Words(SilentProgress):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.details: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, done: int, detail: str = "") -> None:
        self.details.append(detail)


@pytest.fixture
def fit(
    tiny: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Checkpoint, Words]]:
    def run(
        loss_at: Callable[[int], float] = lambda _: 1.0, failure: Exception | None = None
    ) -> tuple[Checkpoint, Words]:
        clock, words = Clock(), Words()
        monkeypatch.setattr("toolkit.training.trainer.time", clock)
        options = TrainingOptions(epochs=3, batch_size=50)
        task = tiny.task_in(tmp_path, options=options, progress=words)
        state: Any = State(clock, loss_at, failure)
        folder = RunFolder(tmp_path)
        trainer = Trainer(task, state, folder, "0", save_best=lambda _: None, notify=lambda _: None)
        return trainer.train(), words

    return run


def test_speed_and_time_left_do_not_count_compiling(
    fit: Callable[..., tuple[Checkpoint, Words]],
) -> None:
    last, words = fit()
    # 200 images are 4 steps: 100 images a second, 2 s an epoch to learn and 2 s to evaluate.
    assert last.records[1].images_per_second == pytest.approx(100)
    assert last.records[0].images_per_second == pytest.approx(100)
    assert last.records[0].seconds == pytest.approx(COMPILING + 3 * STEP + EVALUATING)
    assert "0:08 left" in words.notes[0]
    assert "0:04 left" in words.notes[1]
    assert "0:00 left" in words.notes[2]
    assert "left" not in words.details[0]
    assert words.details[1].endswith("100/s 0:05 left")


def test_a_training_that_diverges_stops_and_keeps_the_best(
    fit: Callable[..., tuple[Checkpoint, Words]], tmp_path: Path
) -> None:
    with pytest.raises(
        PlanRefusedError, match=r"diverged in epoch 2: the loss is nan .*below 0\.004.*best so far"
    ):
        fit(lambda step: math.nan if step == 5 else 1.0)
    checkpoint = read_checkpoint(tmp_path / "checkpoint")
    assert checkpoint is not None
    assert checkpoint.epochs == 1


def test_a_training_that_diverges_at_once_keeps_nothing(
    fit: Callable[..., tuple[Checkpoint, Words]], tmp_path: Path
) -> None:
    with pytest.raises(PlanRefusedError, match="diverged in epoch 1: the network returns NaN") as caught:
        fit(failure=UnreadableInputError("the network returns NaN"))
    assert "best so far" not in str(caught.value)
    assert not (tmp_path / "checkpoint").exists()


def test_a_network_that_cannot_be_recalibrated_keeps_its_running_averages(
    fit: Callable[..., tuple[Checkpoint, Words]],
) -> None:
    last, words = fit(failure=UnsupportedError("norm is used twice"))
    assert last.epochs == 3
    assert words.notes[0] == "running averages are kept as batch statistics: norm is used twice"
    assert sum("running averages" in note for note in words.notes) == 1
