"""The verb ``train``: from a data set's name to a model with its card, and resuming after an interruption."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from quarters import CLASSES, quarters, quarters_plugin, save_reader

import toolkit_keras
from toolkit import hookimpl
from toolkit.data import Dataset
from toolkit.declarations import Architecture, BuildRequest, DatasetLoader, DatasetSource, LoadRequest
from toolkit.errors import (
    BusyError,
    MissingInputError,
    PlanRefusedError,
    PluginError,
    UsageError,
)
from toolkit.model import Card
from toolkit.model.card_file import read_card, write_card
from toolkit.operations.open_model import open_model
from toolkit.operations.toolkit import Toolkit
from toolkit.operations.train import train
from toolkit.options import option
from toolkit.requests.train import Train
from toolkit.store import Workspace, exclusive
from toolkit.tensors import weights_digest
from toolkit.testing import catalog_of
from toolkit.training.folder import RunFolder
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


@dataclass(frozen=True)
class SizedOptions:
    images: int = option(4000, help="number of images", minimum=1)


def sized_plugin() -> SimpleNamespace:
    """A second data set, with a loader that has an option; not taken by default."""

    def load(request: LoadRequest) -> Dataset:
        return quarters(request.options.images, seed=len(request.part))

    @hookimpl
    def toolkit_dataset_loaders() -> Iterable[DatasetLoader]:
        source = DatasetSource("sized", "sized", "computed", rank=-1)
        yield DatasetLoader(
            name="sized", summary="computed", detect=lambda _: [source], load=load, options=SizedOptions
        )

    return SimpleNamespace(toolkit_dataset_loaders=toolkit_dataset_loaders)


class Stopping(Notes):
    """Interrupts the first epoch."""

    def begin(self, task: str, total: int, unit: str) -> None:
        raise KeyboardInterrupt


@pytest.fixture
def toolkit(tmp_path: Path) -> Toolkit:
    catalog = catalog_of(toolkit_keras, quarters_plugin(), sized_plugin(), tiny_plugin())
    return Toolkit(Workspace(tmp_path), lambda: catalog)


@pytest.mark.train
def test_a_training_leaves_model_card_mapping_plot_and_run(toolkit: Toolkit, tmp_path: Path) -> None:
    request = Train(dataset="quarters", epochs=2, options=(*SMALL, "arch.pool-size=7"), seed=3)
    done = train(toolkit, request, QUIET)
    assert done.model == tmp_path / "models" / "emnist_quarters_model.h5"
    model = open_model(toolkit, done.model)
    card = model.card
    assert (card.classes, card.architecture, card.dataset, card.seed) == (CLASSES, "tiny", "quarters", 3)
    assert card.weights_digest == done.weights_digest == weights_digest(model.tensors)
    assert card.validation_accuracy == done.validation_accuracy
    assert card.metrics["test_accuracy"] == done.test_accuracy
    assert card.settings["epochs"] == 2
    assert card.settings["pool_size"] == 7
    assert card.settings["learning_rate"] == 0.004
    assert card.created
    assert card.toolkit_version
    assert (tmp_path / "class_mapping_quarters.txt").read_text() == "0: a\n1: b\n2: c\n3: d\n"
    names = {path.name for path in done.run.iterdir()}
    assert names >= {
        "run.toml", "run.json", "history.csv", "training_history_quarters.png",
        "class_mapping_quarters.txt", "confusion.png", "confusion.csv", "model.h5", "model.card.json",
    }  # fmt: skip
    assert "checkpoint" not in names
    assert (tmp_path / "training_history_quarters.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="is finished"):
        train(toolkit, Train(resume=done.run.name), QUIET)

    in_the_run = read_card(done.run / "model.h5")
    assert in_the_run is not None
    assert in_the_run.classes == card.classes
    assert in_the_run.convention == card.convention

    # The same settings from the run's file: the default output of the same data set is replaced.
    again = train(toolkit, Train(config=done.run / "run.toml"), QUIET)
    assert again.weights_digest == done.weights_digest

    # Without a data set, the one in the model's card is used.
    notes = Notes()
    request = Train(epochs=1, options=SMALL, from_model=done.model, name="tuned", seed=4)
    tuned = open_model(toolkit, train(toolkit, request, notes).model)
    assert notes.lines[0] == "data set quarters: emnist_quarters_model.h5 was trained on it"
    assert tuned.card.made_by == "fine-tune"
    assert tuned.card.architecture == "tiny"
    assert tuned.card.settings["learning_rate"] == 0.0005
    assert [parent.digest for parent in tuned.card.parents] == [done.weights_digest]


@pytest.mark.train
def test_a_model_without_a_card_is_fine_tuned_with_the_convention_given(
    toolkit: Toolkit, tmp_path: Path
) -> None:
    wanted, notes = Convention("transposed", "raw", "dark"), Notes()
    request = Train(
        dataset="quarters",
        epochs=1,
        options=SMALL,
        from_model=save_reader(tmp_path / "bare.h5", 1, noise=0.1),
        name="foreign",
        convention=wanted,
    )
    foreign = train(toolkit, request, notes)
    assert open_model(toolkit, foreign.model).card.convention == wanted
    assert "classes are taken from data set quarters" in notes.lines[0]


@pytest.mark.train
def test_an_interrupted_run_is_resumed_and_published(toolkit: Toolkit, tmp_path: Path) -> None:
    notes = Stopping()
    request = Train(dataset="sized", epochs=1, options=(*SMALL, "loader.images=700"), name="mine")
    with pytest.raises(KeyboardInterrupt):
        train(toolkit, request, notes)
    (folder,) = (path for path in (tmp_path / "runs").iterdir() if (path / "run.json").exists())
    assert notes.lines[-1] == f"resume with: toolkit train --resume {folder.name}"
    record = RunFolder(folder).read_record()
    assert record.fit_images + record.validation_images == 700

    text = (folder / "run.toml").read_text()
    (folder / "run.toml").write_text(text.replace("seed = 0", "seed = 9"))
    with pytest.raises(PlanRefusedError, match="another seed"):
        train(toolkit, Train(resume="latest"), QUIET)
    (folder / "run.toml").write_text(text + "unheard = 1\n")
    with pytest.raises(UsageError, match="unheard"):
        train(toolkit, Train(resume="latest"), QUIET)
    (folder / "run.toml").write_text(text)
    done = train(toolkit, Train(resume="latest"), QUIET)
    assert (done.run, done.model) == (folder, tmp_path / "models" / "mine.h5")
    with pytest.raises(MissingInputError, match="no run to resume"):
        train(toolkit, Train(resume="latest"), QUIET)


@pytest.mark.train
def test_a_run_whose_name_is_being_published_by_another_can_be_resumed(
    toolkit: Toolkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.training.run._WAIT_S", 0.0)
    notes = Notes()
    request = Train(dataset="quarters", epochs=1, options=SMALL)
    target = tmp_path / "models" / "emnist_quarters_model.h5"
    with exclusive(target), pytest.raises(BusyError, match="emnist_quarters_model"):
        train(toolkit, request, notes)
    assert notes.lines[-1].startswith("resume with: toolkit train --resume ")
    assert train(toolkit, Train(resume="latest"), QUIET).model == target


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (Train(dataset="quarters", seed=-1), "seed must be 0 or above, received -1"),
        (Train(dataset="quarters", name="../evil"), "is not a name for a model"),
        (Train(dataset="quarters", from_model=Path("a.h5"), arch="tiny"), "exclude each other"),
        (Train(dataset="quarters", options=("momentum=1",)), "momentum"),
        (Train(dataset="quarters", options=("shift",)), "key=value"),
        (Train(dataset="quarters", options=("shift=1", "shift=2")), "shift is given twice"),
        (Train(dataset="quarters", name="mine.H5"), r"ends with \.h5.*give mine;"),
        (Train(dataset="quarters", epochs=0), "epochs"),
        (Train(dataset="quarters", convention=Convention()), "needs --from"),
        (Train(resume="yesterday", seed=3), "with its own settings"),
        (Train(dataset="sized", options=("loader.images=0",)), "images"),
    ],
)
def test_what_cannot_be_trained_is_refused_and_leaves_no_run(
    toolkit: Toolkit, tmp_path: Path, request_: Train, complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        toolkit.train(request_)
    assert not (tmp_path / "runs").exists()


def test_a_model_of_another_data_set_is_not_replaced(toolkit: Toolkit, tmp_path: Path) -> None:
    named = save_reader(tmp_path / "models" / "small.h5", 1, noise=0.1, dataset="letters")
    default = save_reader(tmp_path / "models" / "emnist_quarters_model.h5", 1, noise=0.1, dataset="letters")
    before = named.read_bytes()
    for request in (Train(dataset="quarters", name="small"), Train(dataset="quarters")):
        with pytest.raises(UsageError, match=r"exists .*another --name, .*--force"):
            train(toolkit, request, QUIET)
    assert named.read_bytes() == default.read_bytes() == before
    write_card(default, Card(dataset="quarters"))
    with pytest.raises(KeyboardInterrupt):  # the default output of the same data set: accepted
        train(toolkit, Train(dataset="quarters"), Stopping())
    with pytest.raises(KeyboardInterrupt):
        train(toolkit, Train(dataset="quarters", name="small", force=True), Stopping())


def test_a_data_set_of_the_card_that_is_not_here_is_named(toolkit: Toolkit, tmp_path: Path) -> None:
    start = save_reader(tmp_path / "start.h5", 1, noise=0.1, dataset="letters")
    with pytest.raises(MissingInputError, match=r"start\.h5 was trained on data set letters.*--dataset"):
        train(toolkit, Train(from_model=start, name="tuned"), QUIET)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("nonsense",), "options are key=value, received 'nonsense'"),
        (("nonsense=1",), "there is no option 'nonsense'"),
        (("tiny.pool_size=7",), "there is no option 'tiny.pool_size'"),
        (("arch.nonsense=1",), "arch has no option 'nonsense'"),
        (("loader.nonsense=1",), "loader has no option 'nonsense'"),
        (("images=0",), "images must be"),
    ],
)
def test_options_that_nothing_has_are_refused_without_a_data_set(
    toolkit: Toolkit, options: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        train(toolkit, Train(dataset="lettres", options=options), QUIET)
    with pytest.raises(MissingInputError, match="lettres"):
        train(toolkit, Train(dataset="lettres", options=("loader.images=40", "pool_size=7")), QUIET)


def test_what_is_not_there_is_named(toolkit: Toolkit, tmp_path: Path) -> None:
    without_data = Toolkit(Workspace(tmp_path), lambda: catalog_of(toolkit_keras, tiny_plugin()))
    with pytest.raises(MissingInputError, match="no data set"):
        train(without_data, Train(), QUIET)
    with pytest.raises(MissingInputError, match="lettres"):
        train(toolkit, Train(dataset="lettres"), QUIET)
    for name in ("tinny", "../tinny", "tinny" * 99):
        with pytest.raises(PluginError, match="tinny"):
            train(toolkit, Train(dataset="quarters", arch=name), QUIET)
    with pytest.raises(MissingInputError, match=r"absent\.h5"):
        train(toolkit, Train(dataset="quarters", from_model=tmp_path / "absent.h5"), QUIET)
    with pytest.raises(MissingInputError, match=r"absent\.toml"):
        train(toolkit, Train(config=tmp_path / "absent.toml"), QUIET)
    assert not (tmp_path / "runs").exists()


def test_the_data_set_that_was_found_is_said_with_the_reason(toolkit: Toolkit) -> None:
    notes = Notes()
    with pytest.raises(UsageError, match="nonsense"):
        train(toolkit, Train(options=("nonsense=1",)), notes)
    assert notes.lines[0].startswith("data set quarters, the only one here: ")
