from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from toolkit.training.history import EpochRecord
from toolkit.training.plots import draw_confusion, draw_history


def _records(count: int) -> list[EpochRecord]:
    return [
        EpochRecord(e, 2 / e, 1 - 0.7 / e, 1.8 / e, 1 - 0.6 / e, 0.001, 900.0, 2.0)
        for e in range(1, count + 1)
    ]


@pytest.mark.parametrize("epochs", [1, 2, 40])
def test_the_history_is_a_picture_of_both_curves(tmp_path: Path, epochs: int) -> None:
    draw_history(tmp_path / "history.png", _records(epochs), best_epoch=epochs, title="a $run$")
    with Image.open(tmp_path / "history.png") as opened:
        picture = np.asarray(opened.convert("RGB"))
    assert picture.shape[1] > 1000
    for colour in ((0xC2, 0x41, 0x0C), (0x8A, 0x97, 0xA8)):
        assert (np.abs(picture.astype(int) - colour).sum(axis=2) < 12).sum() > 50


def test_equal_runs_give_equal_pictures(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw_history(tmp_path / name, _records(5), best_epoch=3, title="run")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("classes", [2, 62])
def test_the_confusion_is_a_picture(tmp_path: Path, classes: int) -> None:
    confusion = np.diag(np.full(classes, 50))
    confusion[0, 1] = 9
    names = [chr(36 + index) for index in range(classes)]
    draw_confusion(tmp_path / "confusion.png", confusion, names, title="test")
    with Image.open(tmp_path / "confusion.png") as picture:
        assert picture.size[0] > 1000


def test_a_confusion_without_images_or_mistakes_is_drawn(tmp_path: Path) -> None:
    draw_confusion(tmp_path / "none.png", np.zeros((3, 3), dtype=np.int64), "abc", title="none")
    assert (tmp_path / "none.png").is_file()


@pytest.mark.parametrize(("epochs", "span"), [(1, (0.5, 1.5)), (30, (0.5, 30.5))])
def test_epochs_are_whole_numbers_also_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int, span: tuple[float, float]
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr("toolkit.training.plots._save", lambda figure, _: drawn.append(figure))
    draw_history(tmp_path / "history.png", _records(epochs), best_epoch=1, title="a run")
    for axes in drawn[0].axes:
        assert axes.get_xlim() == span
        low, high = span
        assert all(tick == int(tick) for tick in axes.get_xticks() if low <= tick <= high)


def test_a_short_training_is_drawn_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr("toolkit.training.plots._save", lambda figure, _: drawn.append(figure))
    draw_history(tmp_path / "history.png", _records(3), best_epoch=3, title="a run")
    for axes in drawn[0].axes:
        low, high = axes.get_ylim()
        assert all(low < y < high for line in axes.lines[:2] for y in line.get_ydata())
