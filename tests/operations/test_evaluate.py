"""The verb ``evaluate``, on networks that need no training."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from quarters import CLASSES, save_keras, save_reader

from toolkit.errors import IncompatibleModelsError, MissingInputError, UnreadableInputError, UsageError
from toolkit.model import Card
from toolkit.model.card_file import read_card, write_card
from toolkit.operations.evaluate import evaluate
from toolkit.operations.toolkit import Toolkit
from toolkit.requests.evaluate import Evaluate
from toolkit.vocabulary import Convention, SilentProgress

QUIET = SilentProgress()


class Notes(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    return save_reader(tmp_path / "models" / "reader.h5", 1, noise=0.01, dataset="quarters")


def test_the_data_set_that_a_model_was_trained_on_is_the_default(toolkit: Toolkit, reader: Path) -> None:
    notes = Notes()
    (score,) = evaluate(toolkit, Evaluate(models=(reader,)), notes)
    assert notes.lines == ["data set quarters: reader.h5 was trained on it"]
    assert (score.dataset, score.split, score.images) == ("quarters", "test", 1000)
    assert score.low < score.accuracy < score.high
    assert score.accuracy > 0.5
    assert set(score.recall) == set(CLASSES)
    assert list(score.recall.values()) == sorted(score.recall.values())
    assert score.assumed == ()


def test_a_data_set_of_the_card_that_is_not_here_is_named(toolkit: Toolkit, tmp_path: Path) -> None:
    path = save_reader(tmp_path / "a.h5", 1, noise=0.01, dataset="letters")
    with pytest.raises(MissingInputError, match=r"a\.h5 was trained on data set letters.*--dataset"):
        evaluate(toolkit, Evaluate(models=(path,)), QUIET)


def test_what_a_file_does_not_say_is_assumed_and_said(toolkit: Toolkit, tmp_path: Path) -> None:
    path = save_reader(tmp_path / "bare.h5", 1, noise=0.01)
    notes = Notes()
    (score,) = evaluate(toolkit, Evaluate(models=(path,), dataset="quarters"), notes)
    assert notes.lines == list(score.assumed)
    assert len(score.assumed) == 2
    assert "upright/unit/light" in score.assumed[1]
    assert "toolkit models adopt" in score.assumed[1]
    assert score.doubt == ""
    dark = Convention(ink="dark")
    (told,) = evaluate(toolkit, Evaluate(models=(path,), dataset="quarters", convention=dark), QUIET)
    assert len(told.assumed) == 1
    assert told.accuracy < score.accuracy


def test_a_convention_can_be_given_for_one_model(toolkit: Toolkit, tmp_path: Path) -> None:
    paths = tuple(save_reader(tmp_path / f"bare-{seed}.h5", 1, noise=0.01) for seed in (1, 2))
    for name in (str(paths[1]), "bare-2.h5", "bare-2"):
        conventions = {name: Convention(ink="dark")}
        request = Evaluate(models=paths, dataset="quarters", conventions=conventions)
        first, second = evaluate(toolkit, request, QUIET)
        assert second.accuracy < first.accuracy
    request = Evaluate(models=paths[:1], dataset="quarters", conventions={str(paths[1]): Convention()})
    with pytest.raises(UsageError, match=r"convention for .*bare-2\.h5.*no such model"):
        evaluate(toolkit, request, QUIET)


def test_a_table_is_announced_and_needs_its_folder(toolkit: Toolkit, reader: Path, tmp_path: Path) -> None:
    notes = Notes()
    request = Evaluate(models=(reader,), dataset="quarters", csv=tmp_path / "table.csv")
    evaluate(toolkit, request, notes)
    assert notes.lines[-1] == f"the table is in {tmp_path / 'table.csv'}"
    request = Evaluate(models=(reader,), dataset="quarters", csv=tmp_path / "missing/table.csv")
    with pytest.raises(MissingInputError, match="missing: no such folder"):
        evaluate(toolkit, request, notes)
    assert not (tmp_path / "missing").exists()


def test_classes_are_matched_by_character(toolkit: Toolkit, reader: Path) -> None:
    request = Evaluate(models=(reader,), dataset="quarters")
    (before,) = evaluate(toolkit, request, QUIET)
    card = read_card(reader)
    assert card is not None
    write_card(reader, dataclasses.replace(card, classes=("b", "a", "d", "c")))
    (after,) = evaluate(toolkit, request, QUIET)
    assert after.accuracy < before.accuracy / 2
    write_card(reader, dataclasses.replace(card, classes=("w", "x", "y", "z")))
    with pytest.raises(IncompatibleModelsError, match="does not know 4 of the classes"):
        evaluate(toolkit, request, QUIET)


def test_a_network_of_another_size_is_refused(toolkit: Toolkit, tmp_path: Path) -> None:
    path = save_reader(tmp_path / "two.h5", 1, noise=0.1, classes=2)
    with pytest.raises(UnreadableInputError, match=r"2 outputs.*4 classes"):
        evaluate(toolkit, Evaluate(models=(path,), dataset="quarters"), QUIET)


def test_nan_weights_are_one_clear_line(toolkit: Toolkit, tmp_path: Path) -> None:
    settings = {"units": 4, "activation": "softmax", "use_bias": True}
    weights = {"kernel": np.full((784, 4), np.nan), "bias": np.zeros(4)}
    save_keras(tmp_path / "nan.h5", [("flatten", "Flatten", {}, {}), ("dense", "Dense", settings, weights)])
    with pytest.raises(UnreadableInputError, match=r"^nan\.h5: tensor dense/kernel has 3,136") as caught:
        evaluate(toolkit, Evaluate(models=(tmp_path / "nan.h5",), dataset="quarters"), QUIET)
    assert "\n" not in str(caught.value)


def test_the_table_is_written_as_csv_with_one_row_per_model_and_no_formula(
    toolkit: Toolkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_reader(tmp_path / "=1+2.h5", 1, noise=0.01)
    save_reader(tmp_path / "b.h5", 2, noise=0.2)
    for name in ("=1+2.h5", "b.h5"):
        write_card(tmp_path / name, Card(classes=CLASSES, convention=Convention()))
    request = Evaluate(models=(Path("=1+2.h5"), Path("b.h5")), dataset="quarters", csv=Path("scores.csv"))
    first, second = evaluate(toolkit, request, QUIET)
    table = pd.read_csv("scores.csv")
    assert table["model"].tolist() == ["'=1+2.h5", "b.h5"]
    assert table["accuracy"].tolist() == pytest.approx([first.accuracy, second.accuracy], rel=1e-5)
    assert (table["images"] == 1000).all()
    with pytest.raises(UsageError, match=r"scores\.csv exists .*--force"):
        evaluate(toolkit, request, QUIET)
    evaluate(toolkit, dataclasses.replace(request, force=True), QUIET)
