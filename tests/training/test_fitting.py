"""The loop over epochs, with a learner that computes nothing and a clock that only it moves."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from toolkit.errors import PlanRefusedError
from toolkit.training import RunFolder, TrainingOptions
from toolkit.training.checkpoint import read_checkpoint
from toolkit.training.fitting import Fitting, Outcome
from toolkit.training.learner import Scores, StepResult
from toolkit.vocabulary import SilentProgress

COMPILING, STEP, EVALUATING = 30.0, 0.5, 2.0  # seconds


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Learner:
    """Takes half a second a step, and half a minute more for the first."""

    def __init__(self, clock: Clock, loss_at: Callable[[int], float], val_loss: float) -> None:
        self._clock = clock
        self._loss_at = loss_at
        self._val_loss = val_loss

    def learn(self, images: Any, labels: Any, *, step: int, rate: float) -> StepResult:
        self._clock.now += STEP if step else COMPILING
        return StepResult(self._loss_at(step), 1)

    def settle_statistics(self, images: Any) -> None:
        pass

    def evaluate(self, dataset: Any) -> Scores:
        self._clock.now += EVALUATING
        return Scores(self._val_loss, 0.5, np.zeros(len(dataset), dtype=np.int32))

    def state(self) -> dict[str, Any]:
        return {}

    network_state = state


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
) -> Callable[..., tuple[Outcome, Words]]:
    def run(loss_at: Callable[[int], float] = lambda _: 1.0, val_loss: float = 1.0) -> tuple[Outcome, Words]:
        clock, words = Clock(), Words()
        monkeypatch.setattr("toolkit.training.fitting.time", clock)
        options = TrainingOptions(epochs=3, batch_size=50)
        request = tiny.request_in(tmp_path, options=options, progress=words)
        learner: Any = Learner(clock, loss_at, val_loss)
        fitting = Fitting(request, learner, RunFolder(tmp_path), "0", keep=lambda: None, heard=lambda _: None)
        return fitting.fit(), words

    return run


def test_the_pace_and_the_time_left_leave_out_what_compiling_took(
    fit: Callable[..., tuple[Outcome, Words]],
) -> None:
    outcome, words = fit()
    # 200 images are 4 steps: 100 images a second, 2 s an epoch to learn and 2 s to evaluate.
    assert outcome.records[1].images_per_second == pytest.approx(100)
    assert outcome.records[0].images_per_second == pytest.approx(100)
    assert outcome.records[0].seconds == pytest.approx(COMPILING + 3 * STEP + EVALUATING)
    assert "0:08 left" in words.notes[0]
    assert "0:04 left" in words.notes[1]
    assert "0:00 left" in words.notes[2]
    assert "left" not in words.details[0]
    assert words.details[1].endswith("100/s 0:05 left")


def test_a_training_that_diverges_stops_and_keeps_what_was_good(
    fit: Callable[..., tuple[Outcome, Words]], tmp_path: Path
) -> None:
    with pytest.raises(
        PlanRefusedError, match=r"diverged in epoch 2: the loss is nan .*below 0\.004.*best so far"
    ):
        fit(lambda step: math.nan if step == 5 else 1.0)
    checkpoint = read_checkpoint(tmp_path / "checkpoint")
    assert checkpoint is not None
    assert checkpoint.epochs == 1


def test_a_training_that_diverges_at_once_keeps_nothing(
    fit: Callable[..., tuple[Outcome, Words]], tmp_path: Path
) -> None:
    with pytest.raises(PlanRefusedError, match="diverged in epoch 1: the validation loss is inf") as caught:
        fit(val_loss=math.inf)
    assert "best so far" not in str(caught.value)
    assert not (tmp_path / "checkpoint").exists()
