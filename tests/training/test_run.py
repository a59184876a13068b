from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from toolkit.declarations import ModelFormat, RunEvent, RunListener
from toolkit.errors import DamagedFileError, PlanRefusedError, ProofError, UsageError
from toolkit.model import Card
from toolkit.tensors import weights_digest
from toolkit.training import RunFolder, TrainedRun, TrainingOptions, train
from toolkit.training.checkpoint import read_checkpoint
from toolkit.vocabulary import Convention, SilentProgress

pytestmark = pytest.mark.train

SHORT = TrainingOptions(epochs=2, batch_size=64, learning_rate=0.01)


class Notes(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.done: list[int] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def advance(self, done: int, detail: str = "") -> None:
        self.done.append(done)


@pytest.fixture(scope="module")
def events() -> list[RunEvent]:
    return []


@pytest.fixture(scope="module")
def notes() -> Notes:
    return Notes()


@pytest.fixture(scope="module")
def run(
    tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory, events: list[RunEvent], notes: Notes
) -> TrainedRun:
    listener = RunListener(name="ear", summary="", hear=events.append)
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    return train(tiny.request_in(folder, listeners=[listener], progress=notes))  # type: ignore[no-any-return]


def test_it_learns(run: TrainedRun) -> None:
    assert run.validation_accuracy > 0.8
    assert run.test_accuracy is not None
    assert run.test_accuracy > 0.7
    assert [record.epoch for record in run.records] == [1, 2, 3, 4]
    assert run.records[-1].loss < run.records[0].loss


def test_the_model_is_that_of_the_best_epoch(tiny: ModuleType, run: TrainedRun) -> None:
    accuracies = [record.val_accuracy for record in run.records]
    assert run.validation_accuracy == max(accuracies)
    assert run.best_epoch == accuracies.index(max(accuracies)) + 1
    assert weights_digest(tiny.read(run.model).tensors) == run.weights_digest


def test_keras_loads_the_model_and_scores_the_same(tiny: ModuleType, run: TrainedRun) -> None:
    import keras

    network = keras.models.load_model(run.model, compile=False)
    test = tiny.strokes(80, 3)
    rows = np.asarray(network.predict(test.images[..., None] / 255.0, verbose=0))
    assert np.mean(rows.argmax(axis=1) == test.labels) == run.test_accuracy


def test_the_folder_holds_all_of_the_run(run: TrainedRun) -> None:
    folder = RunFolder(run.folder)
    with folder.history.open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_accuracy"]) for row in rows] == pytest.approx(
        [record.val_accuracy for record in run.records], rel=1e-5
    )
    configuration = folder.read_configuration()
    assert (configuration.architecture, configuration.dataset, configuration.seed) == ("tiny", "strokes", 7)
    assert configuration.options["epochs"] == 4
    for picture in (run.history_plot, run.confusion_plot):
        assert picture.read_bytes().startswith(b"\x89PNG")
    with run.confusion_table.open() as file:
        counts = np.array([[int(value) for value in row[1:]] for row in list(csv.reader(file))[1:]])
    assert counts.sum() == run.test_images == 80
    assert counts.trace() / 80 == run.test_accuracy


def test_listeners_hear_the_start_every_epoch_and_the_end(run: TrainedRun, events: list[RunEvent]) -> None:
    assert [event.kind for event in events] == ["started", *["epoch"] * 4, "finished"]
    assert events[0].details["seed"] == 7
    json.dumps(dict(events[0].details))
    assert events[2].metrics.keys() >= {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    assert events[-1].metrics["test_accuracy"] == run.test_accuracy


def test_progress_tells_of_images_and_of_each_epoch(run: TrainedRun, notes: Notes) -> None:
    assert notes.done.count(200) == 4
    assert sum(line.startswith("epoch ") for line in notes.lines) == 4
    assert "images/s" in notes.lines[0]
    assert "left" in notes.lines[0]


def test_a_finished_run_that_is_resumed_does_nothing_again(
    tiny: ModuleType, run: TrainedRun, notes: Notes
) -> None:
    again = train(tiny.request_in(run.folder, resume=True))
    assert again.weights_digest == run.weights_digest
    assert again.records == run.records
    assert again.test_accuracy == run.test_accuracy


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    tiny: ModuleType, tmp_path: Path
) -> None:
    digests = [
        train(tiny.request_in(tmp_path / str(place), options=SHORT, seed=seed)).weights_digest
        for place, seed in enumerate((1, 1, 2))
    ]
    assert digests[0] == digests[1] != digests[2]


class _InterruptedError(Exception):
    pass


class Interrupting(SilentProgress):
    def __init__(self, epoch: int) -> None:
        self._epoch = epoch

    def begin(self, task: str, total: int, unit: str) -> None:
        if task.startswith(f"epoch {self._epoch}/"):
            raise _InterruptedError("enough")


@pytest.mark.parametrize("epoch", [1, 2, 4])
def test_a_run_interrupted_between_epochs_ends_as_if_it_had_not_been(
    tiny: ModuleType, run: TrainedRun, tmp_path: Path, epoch: int
) -> None:
    heard: list[RunEvent] = []
    listener = RunListener(name="ear", summary="", hear=heard.append)
    with pytest.raises(_InterruptedError):
        train(tiny.request_in(tmp_path, progress=Interrupting(epoch), listeners=[listener]))
    assert (heard[-1].kind, heard[-1].details, heard[-1].epoch) == ("failed", {"error": "enough"}, epoch - 1)
    before = read_checkpoint(tmp_path / "checkpoint")
    assert (0 if before is None else before.epochs) == epoch - 1
    resumed = train(tiny.request_in(tmp_path, resume=True))
    assert resumed.weights_digest == run.weights_digest
    if before is not None:
        assert resumed.validation_accuracy >= before.best_accuracy


def test_it_stops_early_and_keeps_the_best(tiny: ModuleType, tmp_path: Path) -> None:
    # A learning rate of nothing: the first epoch's score is never bettered.
    options = TrainingOptions(epochs=9, learning_rate=1e-8, patience=2, weight_decay=0.0)
    notes = Notes()
    done = train(tiny.request_in(tmp_path, options=options, validation=tiny.strokes(8, 2), progress=notes))
    assert done.stopped_early
    assert len(done.records) == done.best_epoch + 2
    assert "no better validation accuracy in 2 epochs" in notes.lines[-1]
    assert train(
        tiny.request_in(tmp_path, options=options, validation=tiny.strokes(8, 2), resume=True)
    ).records == (done.records)


def test_resuming_another_training_is_refused(tiny: ModuleType, tmp_path: Path) -> None:
    train(tiny.request_in(tmp_path, options=SHORT))
    with pytest.raises(PlanRefusedError, match="another options, seed"):
        train(tiny.request_in(tmp_path, resume=True, seed=8))
    with pytest.raises(PlanRefusedError, match="another fit_digest"):
        train(tiny.request_in(tmp_path, resume=True, options=SHORT, fit=tiny.strokes(200, 9)))
    with pytest.raises(PlanRefusedError, match="another validation_digest"):
        train(tiny.request_in(tmp_path, resume=True, options=SHORT, validation=tiny.strokes(80, 9)))


def test_a_run_that_lost_its_configuration_keeps_its_checkpoint(tiny: ModuleType, tmp_path: Path) -> None:
    done = train(tiny.request_in(tmp_path, options=SHORT))
    (tmp_path / "config.json").unlink()
    assert train(tiny.request_in(tmp_path, options=SHORT, resume=True)).records == done.records
    (tmp_path / "config.json").unlink()
    with pytest.raises(PlanRefusedError, match="another training"):
        train(tiny.request_in(tmp_path, options=SHORT, resume=True, seed=8))
    assert read_checkpoint(tmp_path / "checkpoint") is not None


def test_a_run_resumed_on_other_processors_says_so(
    tiny: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tiny.request_in(tmp_path, options=SHORT))
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "99")
    notes = Notes()
    train(tiny.request_in(tmp_path, options=SHORT, resume=True, progress=notes))
    assert "other versions or processors" in notes.lines[0]


def test_a_damaged_checkpoint_is_refused_and_the_model_stays(tiny: ModuleType, tmp_path: Path) -> None:
    done = train(tiny.request_in(tmp_path, options=SHORT))
    model = done.model.read_bytes()
    whole = bytearray((tmp_path / "checkpoint").read_bytes())
    whole[len(whole) // 2] ^= 4
    (tmp_path / "checkpoint").write_bytes(whole)
    with pytest.raises(DamagedFileError):
        train(tiny.request_in(tmp_path, options=SHORT, resume=True))
    assert done.model.read_bytes() == model


def test_fine_tuning_begins_where_the_model_stands(tiny: ModuleType, run: TrainedRun, tmp_path: Path) -> None:
    start = tiny.read(run.model)
    still = TrainingOptions(epochs=1, learning_rate=1e-8, weight_decay=0.0)
    done = train(tiny.request_in(tmp_path, architecture=None, start_from=start, options=still))
    ancestor, child = start.tensors, tiny.read(done.model).tensors
    assert list(ancestor) == list(child)
    assert np.abs(ancestor.read("conv/kernel") - child.read("conv/kernel")).max() < 1e-5
    configuration = RunFolder(tmp_path).read_configuration()
    assert (configuration.start_from, configuration.start_digest) == ("model.h5", run.weights_digest)


def test_fine_tunings_with_other_seeds_are_relatives_but_differ(
    tiny: ModuleType, run: TrainedRun, tmp_path: Path
) -> None:
    start = tiny.read(run.model)
    digests = [
        train(
            tiny.request_in(
                tmp_path / str(place), architecture=None, start_from=start, options=SHORT, seed=seed
            )
        ).weights_digest
        for place, seed in enumerate((1, 1, 2))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_fine_tuning_keeps_the_models_convention(tiny: ModuleType, run: TrainedRun, tmp_path: Path) -> None:
    convention = Convention("transposed", "raw", "dark")
    start = tiny.read(run.model).with_card(Card(convention=convention))
    done = train(tiny.request_in(tmp_path, architecture=None, start_from=start, options=SHORT))
    assert done.convention == convention


@pytest.mark.parametrize("known", [True, False])
def test_a_model_of_other_classes_is_not_fine_tuned(
    tiny: ModuleType, run: TrainedRun, tmp_path: Path, known: bool
) -> None:
    start = tiny.read(run.model)
    if known:
        start = start.with_card(Card(classes=("o", "/", "-", "I")))
    else:
        start = dataclasses.replace(start, output_shape=(5,))
    with pytest.raises(UsageError, match="classes"):
        train(tiny.request_in(tmp_path, start_from=start))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"architecture": None}, "nothing to train"),
        ({"fit": 0}, "no fit images"),
        ({"validation": 0}, "no validation images"),
    ],
)
def test_what_cannot_be_trained_is_said_before_any_work(
    tiny: ModuleType, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    given = {name: tiny.strokes(0, 0) if value == 0 else value for name, value in changes.items()}
    with pytest.raises(UsageError, match=told):
        train(tiny.request_in(tmp_path / "run", **given))
    assert not (tmp_path / "run").exists()


def test_a_model_that_reads_back_differently_is_not_published(tiny: ModuleType, tmp_path: Path) -> None:
    def misread(path: Path) -> Any:
        model = tiny.read(path)
        model.tensors.read("conv/kernel")[0, 0, 0, 0] += 1
        return model

    broken = ModelFormat(name="broken", summary="", suffixes=(".h5",), read=misread)
    with pytest.raises(ProofError, match="its weights read back differently"):
        train(tiny.request_in(tmp_path, model_format=broken))
    assert not (tmp_path / "model.h5").exists()
