"""The verb ``train``: from a data set's name to a model with its card, and on after an interruption."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from quarters import CLASSES, quarters_plugin

import toolkit_keras
from toolkit import hookimpl
from toolkit.declarations import Architecture, BuildRequest
from toolkit.errors import (
    BusyError,
    MissingInputError,
    PlanRefusedError,
    PluginError,
    UnreadableInputError,
    UsageError,
)
from toolkit.model.card_file import read_card
from toolkit.operations.opening import open_model
from toolkit.operations.toolkit import Toolkit
from toolkit.operations.train import TrainOrder, resume, train
from toolkit.options import option
from toolkit.store import Workspace, exclusive
from toolkit.tensors import weights_digest
from toolkit.testing import catalog_of
from toolkit.vocabulary import Convention, SilentProgress

if TYPE_CHECKING:
    import keras

QUIET = SilentProgress()
SMALL = ("batch_size=256", "patience=0")


class Notes(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@dataclass(frozen=True)
class TinyOptions:
    pool_size: int = option(14, help="of the pooling")


def tiny_plugin() -> SimpleNamespace:
    def build(request: BuildRequest) -> keras.Model:
        import keras

        return keras.Sequential(
            [
                keras.Input(request.input_shape, name="image"),
                keras.layers.AveragePooling2D(request.options.pool_size, name="pool"),
                keras.layers.BatchNormalization(name="norm"),
                keras.layers.Flatten(name="flatten"),
                keras.layers.Dense(
                    request.classes,
                    activation="softmax",
                    name="classes",
                    kernel_initializer=keras.initializers.GlorotUniform(seed=request.seed),
                ),
            ],
            name="tiny",
        )

    @hookimpl
    def toolkit_architectures() -> Iterable[Architecture]:
        yield Architecture(name="tiny", summary="one dense layer", build=build, options=TinyOptions)

    return SimpleNamespace(toolkit_architectures=toolkit_architectures)


@pytest.fixture
def toolkit(tmp_path: Path) -> Toolkit:
    catalog = catalog_of(toolkit_keras, quarters_plugin(), tiny_plugin())
    return Toolkit(Workspace(tmp_path), lambda: catalog)


@pytest.mark.train
def test_a_training_leaves_model_card_mapping_plot_and_run(
    toolkit: Toolkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = TrainOrder(dataset="quarters", epochs=2, options=(*SMALL, "pool-size=7"), seed=3)
    done = train(toolkit, order, QUIET)
    assert done.model == tmp_path / "models" / "emnist_quarters_model.h5"
    model = open_model(toolkit, done.model)
    card = model.card
    assert (card.classes, card.architecture, card.dataset, card.seed) == (CLASSES, "tiny", "quarters", 3)
    assert card.weights_digest == done.weights_digest == weights_digest(model.tensors)
    assert card.validation_accuracy == done.validation_accuracy
    assert card.metrics["test_accuracy"] == done.test_accuracy
    assert card.settings["epochs"] == 2
    assert card.settings["pool_size"] == 7
    assert (tmp_path / "class_mapping_quarters.txt").read_text() == "0: a\n1: b\n2: c\n3: d\n"
    names = {path.name for path in done.run.iterdir()}
    assert names >= {
        "order.json", "config.json", "history.csv", "training_history_quarters.png",
        "class_mapping_quarters.txt", "confusion.png", "model.h5", "checkpoint",
    }  # fmt: skip
    assert (tmp_path / "training_history_quarters.png").read_bytes().startswith(b"\x89PNG")

    again = resume(toolkit, done.run.name, QUIET)
    assert again.weights_digest == done.weights_digest

    order = TrainOrder(
        dataset="quarters", epochs=1, options=SMALL, start_from=done.model, name="tuned", seed=4
    )
    tuned = open_model(toolkit, train(toolkit, order, QUIET).model)
    assert tuned.card.made_by == "fine-tune"
    assert tuned.card.architecture == "tiny"
    assert [parent.digest for parent in tuned.card.parents] == [done.weights_digest]

    in_the_run = read_card(done.run / "model.h5")
    assert in_the_run is not None
    assert in_the_run.classes == card.classes
    assert in_the_run.convention == card.convention

    foreign_file = Path(shutil.copy(done.run / "model.h5", tmp_path / "without-a-card.h5"))
    wanted, notes = Convention("transposed", "raw", "dark"), Notes()
    order = TrainOrder(
        dataset="quarters",
        epochs=1,
        options=SMALL,
        start_from=foreign_file,
        name="foreign",
        convention=wanted,
    )
    foreign = train(toolkit, order, notes)
    assert open_model(toolkit, foreign.model).card.convention == wanted
    assert "classes are taken from data set quarters" in notes.lines[0]
    assert resume(toolkit, foreign.run.name, QUIET).weights_digest == foreign.weights_digest

    monkeypatch.setattr("toolkit.operations.train._PATIENCE_S", 0.0)
    with exclusive(done.model), pytest.raises(BusyError, match="emnist_quarters_model"):
        resume(toolkit, done.run.name, notes)
    assert notes.lines[-1] == f"go on with: toolkit train --resume {done.run.name}"

    config = json.loads((done.run / "order.json").read_text())
    (done.run / "order.json").write_text(json.dumps(config | {"seed": 9}))
    with pytest.raises(PlanRefusedError, match="another seed"):
        resume(toolkit, done.run.name, QUIET)
    (done.run / "order.json").write_text("{}")
    with pytest.raises(UnreadableInputError, match=r"order\.json"):
        resume(toolkit, done.run.name, QUIET)


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        (TrainOrder(dataset="quarters", seed=-1), "seed is -1"),
        (TrainOrder(dataset="quarters", name="../evil"), "is no name for a model"),
        (TrainOrder(dataset="quarters", start_from=Path("a.h5"), architecture="tiny"), "exclude each other"),
        (TrainOrder(dataset="quarters", options=("momentum=1",)), "momentum"),
        (TrainOrder(dataset="quarters", name="mine.H5"), r"ends with \.h5.*give mine;"),
        (TrainOrder(dataset="quarters", epochs=0), "epochs must be from 1 to 10,000, received 0"),
        (TrainOrder(dataset="quarters", convention=Convention()), "goes with --from"),
    ],
)
def test_an_order_that_cannot_be_followed_is_refused_and_leaves_no_run(
    toolkit: Toolkit, tmp_path: Path, order: TrainOrder, complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        train(toolkit, order, QUIET)
    assert not (tmp_path / "runs").exists()


def test_what_is_not_there_is_named(toolkit: Toolkit, tmp_path: Path) -> None:
    without_data = Toolkit(Workspace(tmp_path), lambda: catalog_of(toolkit_keras, tiny_plugin()))
    with pytest.raises(MissingInputError, match="no data set"):
        train(without_data, TrainOrder(), QUIET)
    with pytest.raises(MissingInputError, match="lettres"):
        train(toolkit, TrainOrder(dataset="lettres"), QUIET)
    for name in ("tinny", "../tinny", "tinny" * 99):
        with pytest.raises(PluginError, match="tinny"):
            train(toolkit, TrainOrder(dataset="quarters", architecture=name), QUIET)
    with pytest.raises(MissingInputError, match=r"absent\.h5"):
        train(toolkit, TrainOrder(dataset="quarters", start_from=tmp_path / "absent.h5"), QUIET)
    assert not (tmp_path / "runs").exists()
    with pytest.raises(MissingInputError, match="no run was started yet"):
        resume(toolkit, "yesterday", QUIET)
    (tmp_path / "runs" / "monday-0").mkdir(parents=True)
    (tmp_path / "runs" / "monday-0" / "order.json").touch()
    with pytest.raises(MissingInputError, match="did you mean monday-0"):
        resume(toolkit, "munday-0", QUIET)
    with pytest.raises(MissingInputError, match="an empty name: no such run"):
        resume(toolkit, "", QUIET)


def test_the_data_set_that_was_found_is_said_with_the_reason(toolkit: Toolkit) -> None:
    notes = Notes()
    with pytest.raises(PluginError, match="nowhere"):
        train(toolkit, TrainOrder(architecture="nowhere"), notes)
    assert notes.lines[0].startswith("data set quarters, the only one here: ")
