from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from toolkit.declarations import Architecture, BuildRequest, RunEvent, RunListener
from toolkit.errors import (
    DamagedFileError,
    PlanRefusedError,
    PluginError,
    ProofError,
    UnsupportedError,
    UsageError,
)
from toolkit.model import Card
from toolkit.model.card_file import read_card
from toolkit.tensors import ArrayTensors, weights_digest
from toolkit.training.checkpoint import read_checkpoint
from toolkit.training.folder import RunFolder
from toolkit.training.history import read_history
from toolkit.training.options import TrainingOptions
from toolkit.training.run import train
from toolkit.training.task import TrainedModel
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
) -> TrainedModel:
    listener = RunListener(name="ear", summary="", hear=events.append)
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    task = tiny.task_in(folder, listeners=[listener], progress=notes, loader_options={"side": 2})
    return train(task)  # type: ignore[no-any-return]


def test_it_learns(run: TrainedModel) -> None:
    assert run.validation_accuracy > 0.8
    assert run.test_accuracy is not None
    assert run.test_accuracy > 0.7
    records = read_history(run.run / "history.csv")
    assert [record.epoch for record in records] == [1, 2, 3, 4]
    assert records[-1].loss < records[0].loss


def test_the_model_is_that_of_the_best_epoch(tiny: ModuleType, run: TrainedModel) -> None:
    accuracies = [record.val_accuracy for record in read_history(run.run / "history.csv")]
    assert run.validation_accuracy == pytest.approx(max(accuracies), rel=1e-5)
    assert run.best_epoch == accuracies.index(max(accuracies)) + 1
    assert weights_digest(tiny.read(run.model).tensors) == run.weights_digest


def test_keras_loads_the_model_and_scores_the_same(tiny: ModuleType, run: TrainedModel) -> None:
    import keras

    network = keras.models.load_model(run.model, compile=False)
    test = tiny.strokes(80, 3)
    rows = np.asarray(network.predict(test.images[..., None] / 255.0, verbose=0))
    assert np.mean(rows.argmax(axis=1) == test.labels) == run.test_accuracy


def test_the_folder_has_everything_of_the_run_but_the_checkpoint(run: TrainedModel) -> None:
    folder = RunFolder(run.run)
    record = folder.read_record()
    assert (record.architecture, record.dataset, record.seed) == ("tiny", "strokes", 7)
    assert record.options["epochs"] == 4
    assert record.state == "finished"
    assert record.created
    assert not folder.checkpoint.exists()
    assert run.mapping.read_text() == "0: I\n1: -\n2: /\n3: o\n"
    for picture in (run.history_plot, run.confusion_plot):
        assert picture.read_bytes().startswith(b"\x89PNG")
    counts = pd.read_csv(run.run / "confusion.csv", index_col=0).to_numpy()
    assert counts.sum() == run.test_images == 80
    assert counts.trace() / 80 == run.test_accuracy


def test_the_models_card_has_its_data_its_figures_and_the_learning_rate(run: TrainedModel) -> None:
    card = read_card(run.model)
    assert card is not None
    assert (card.classes, card.convention, card.dataset) == (("I", "-", "/", "o"), Convention(), "strokes")
    assert card.metrics["test_accuracy"] == run.test_accuracy
    assert card.metrics["validation_accuracy"] == run.validation_accuracy
    assert card.settings["learning_rate"] == 0.02
    assert card.settings["side"] == 2


def test_the_default_learning_rate_is_in_card_and_record(tiny: ModuleType, tmp_path: Path) -> None:
    done = train(tiny.task_in(tmp_path, options=TrainingOptions(epochs=1)))
    card = read_card(done.model)
    assert card is not None
    assert (
        card.settings["learning_rate"] == RunFolder(tmp_path).read_record().options["learning_rate"] == 0.004
    )


def test_listeners_hear_the_start_every_epoch_and_the_end(run: TrainedModel, events: list[RunEvent]) -> None:
    assert [event.kind for event in events] == ["started", *["epoch"] * 4, "finished"]
    assert events[0].details["seed"] == 7
    json.dumps(dict(events[0].details))
    assert events[2].metrics.keys() >= {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    assert events[-1].metrics["test_accuracy"] == run.test_accuracy


def test_progress_tells_of_images_and_of_each_epoch(run: TrainedModel, notes: Notes) -> None:
    assert notes.done.count(200) == 4
    assert sum(line.startswith("epoch ") for line in notes.lines) == 4
    assert "images/s" in notes.lines[0]
    assert "left" in notes.lines[0]


def test_a_finished_run_is_not_resumed(tiny: ModuleType, run: TrainedModel) -> None:
    before = run.model.read_bytes()
    with pytest.raises(UsageError, match=r"tiny is finished \(train .*model\.h5 further"):
        train(tiny.task_in(run.run, resume=True))
    assert run.model.read_bytes() == before


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    tiny: ModuleType, tmp_path: Path
) -> None:
    digests = [
        train(tiny.task_in(tmp_path / str(place), options=SHORT, seed=seed)).weights_digest
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
    tiny: ModuleType, run: TrainedModel, tmp_path: Path, epoch: int
) -> None:
    heard: list[RunEvent] = []
    listener = RunListener(name="ear", summary="", hear=heard.append)
    with pytest.raises(_InterruptedError):
        train(tiny.task_in(tmp_path, progress=Interrupting(epoch), listeners=[listener]))
    assert (heard[-1].kind, heard[-1].details, heard[-1].epoch) == ("failed", {"error": "enough"}, epoch - 1)
    assert RunFolder(tmp_path).read_record().state == "failed"
    before = read_checkpoint(tmp_path / "checkpoint")
    assert (0 if before is None else before.epochs) == epoch - 1
    resumed = train(tiny.task_in(tmp_path, resume=True))
    assert resumed.weights_digest == run.weights_digest
    if before is not None:
        assert resumed.validation_accuracy >= before.best_accuracy


def _interrupted(tiny: ModuleType, folder: Path, **changes: Any) -> None:
    """A run whose second epoch was not reached."""
    with pytest.raises(_InterruptedError):
        train(tiny.task_in(folder, options=SHORT, progress=Interrupting(2), **changes))


def test_it_stops_early_and_keeps_the_best(tiny: ModuleType, tmp_path: Path) -> None:
    # With this learning rate, no epoch is better than the first one.
    options = TrainingOptions(epochs=9, learning_rate=1e-8, patience=2, weight_decay=0.0)
    notes = Notes()
    done = train(tiny.task_in(tmp_path, options=options, validation=tiny.strokes(8, 2), progress=notes))
    assert done.stopped_early
    assert done.epochs == done.best_epoch + 2
    assert "no better validation accuracy in 2 epochs" in notes.lines[-1]


def test_resuming_another_training_is_refused(tiny: ModuleType, tmp_path: Path) -> None:
    _interrupted(tiny, tmp_path)
    with pytest.raises(PlanRefusedError, match="another options, seed"):
        train(tiny.task_in(tmp_path, resume=True, seed=8))
    with pytest.raises(PlanRefusedError, match="another fit_digest"):
        train(tiny.task_in(tmp_path, resume=True, options=SHORT, fit=tiny.strokes(200, 9)))
    with pytest.raises(PlanRefusedError, match="another validation_digest"):
        train(tiny.task_in(tmp_path, resume=True, options=SHORT, validation=tiny.strokes(80, 9)))


def test_a_run_without_its_record_keeps_its_checkpoint(tiny: ModuleType, tmp_path: Path) -> None:
    _interrupted(tiny, tmp_path)
    (tmp_path / "run.json").unlink()
    with pytest.raises(PlanRefusedError, match="another training"):
        train(tiny.task_in(tmp_path, options=SHORT, resume=True, seed=8))
    (tmp_path / "run.json").unlink()
    notes = Notes()
    assert train(tiny.task_in(tmp_path, options=SHORT, resume=True, progress=notes)).epochs == 2
    assert notes.lines[0] == "resuming after epoch 1 of 2"


def test_a_run_resumed_on_other_processors_says_so(
    tiny: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _interrupted(tiny, tmp_path)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "99")
    notes = Notes()
    train(tiny.task_in(tmp_path, options=SHORT, resume=True, progress=notes))
    assert "versions or processors differ" in notes.lines[0]


def test_a_damaged_checkpoint_is_refused_and_the_model_is_kept(tiny: ModuleType, tmp_path: Path) -> None:
    _interrupted(tiny, tmp_path)
    model = (tmp_path / "model.h5").read_bytes()
    whole = bytearray((tmp_path / "checkpoint").read_bytes())
    whole[len(whole) // 2] ^= 4
    (tmp_path / "checkpoint").write_bytes(whole)
    with pytest.raises(DamagedFileError):
        train(tiny.task_in(tmp_path, options=SHORT, resume=True))
    assert (tmp_path / "model.h5").read_bytes() == model


def test_a_run_that_is_stopped_can_be_told_from_one_that_failed(tiny: ModuleType, tmp_path: Path) -> None:
    class Stopping(SilentProgress):
        def begin(self, task: str, total: int, unit: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny.task_in(tmp_path, progress=Stopping()))
    assert RunFolder(tmp_path).read_record().state == "started"


def test_fine_tuning_starts_with_the_models_weights(
    tiny: ModuleType, run: TrainedModel, tmp_path: Path
) -> None:
    start = tiny.read(run.model)
    still = TrainingOptions(epochs=1, learning_rate=1e-8, weight_decay=0.0)
    done = train(tiny.task_in(tmp_path, architecture=None, start_from=start, options=still))
    ancestor, child = start.tensors, tiny.read(done.model).tensors
    assert list(ancestor) == list(child)
    assert np.abs(ancestor.read("conv/kernel") - child.read("conv/kernel")).max() < 1e-5
    record = RunFolder(tmp_path).read_record()
    assert (record.start_from, record.start_digest) == ("model.h5", run.weights_digest)


def test_fine_tunings_with_other_seeds_are_relatives_but_differ(
    tiny: ModuleType, run: TrainedModel, tmp_path: Path
) -> None:
    start = tiny.read(run.model)
    digests = [
        train(
            tiny.task_in(tmp_path / str(place), architecture=None, start_from=start, options=SHORT, seed=seed)
        ).weights_digest
        for place, seed in enumerate((1, 1, 2))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_fine_tuning_keeps_the_models_convention(tiny: ModuleType, run: TrainedModel, tmp_path: Path) -> None:
    convention = Convention("transposed", "raw", "dark")
    start = tiny.read(run.model).with_card(Card(convention=convention))
    done = train(tiny.task_in(tmp_path, architecture=None, start_from=start, options=SHORT))
    card = read_card(done.model)
    assert card is not None
    assert card.convention == convention


@pytest.mark.parametrize("known", [True, False])
def test_a_model_of_other_classes_is_not_fine_tuned(
    tiny: ModuleType, run: TrainedModel, tmp_path: Path, known: bool
) -> None:
    start = tiny.read(run.model)
    if known:
        start = start.with_card(Card(classes=("o", "/", "-", "I")))
    else:
        start = dataclasses.replace(start, output_shape=(5,))
    with pytest.raises(UsageError, match="classes"):
        train(tiny.task_in(tmp_path, start_from=start))


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
        train(tiny.task_in(tmp_path / "run", **given))
    assert not (tmp_path / "run").exists()


def test_a_model_that_reads_back_differently_is_not_published(tiny: ModuleType, tmp_path: Path) -> None:
    def write(model: Any, path: Path) -> None:
        arrays = {name: (model.tensors.read(name), spec.role) for name, spec in model.tensors.specs.items()}
        arrays["conv/kernel"] = (arrays["conv/kernel"][0] + 1, arrays["conv/kernel"][1])
        tiny.H5.write(model.with_tensors(ArrayTensors(arrays)), path)

    broken = dataclasses.replace(tiny.H5, write=write)
    with pytest.raises(ProofError, match=r"model\.h5 was not saved"):
        train(tiny.task_in(tmp_path, model_format=broken))
    assert not (tmp_path / "model.h5").exists()
    record = RunFolder(tmp_path).read_record()
    assert record.state == "failed"
    assert "was not saved" in record.error


def test_a_format_that_cannot_write_is_refused_before_any_work(tiny: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="h5 cannot write"):
        train(tiny.task_in(tmp_path / "run", model_format=dataclasses.replace(tiny.H5, write=None)))
    assert not (tmp_path / "run").exists()


def test_an_architecture_that_cannot_be_run_without_keras_is_refused_at_once(
    tiny: ModuleType, tmp_path: Path
) -> None:
    def build(request: BuildRequest) -> Any:
        import keras
        from keras import layers

        image = keras.Input(request.input_shape, name="image")
        rows = layers.Reshape((28, 28), name="rows")(image)
        mixed = layers.MultiHeadAttention(1, 4, name="mixed")(rows, rows)
        flat = layers.Flatten(name="flat")(mixed)
        return keras.Model(image, layers.Dense(4, name="out")(flat))

    architecture = Architecture(name="attentive", summary="", build=build)
    with pytest.raises(UnsupportedError, match="mixed"):
        train(tiny.task_in(tmp_path, architecture=architecture))
    assert not (tmp_path / "checkpoint").exists()
