"""The verb ``models adopt``: a card for a network that somebody else trained."""

from __future__ import annotations

import json
import string
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from quarters import save_keras
from template_readers import CHARACTERS, template_images, template_reader

import toolkit_emnist
import toolkit_glyphs
import toolkit_keras
import toolkit_onnx
from toolkit import hookimpl
from toolkit.cli.context import CommandLine
from toolkit.cli.main import toolkit as program
from toolkit.data import Dataset
from toolkit.declarations import DatasetLoader, DatasetSource, LoadRequest
from toolkit.errors import MissingInputError, UnsupportedError, UsageError
from toolkit.model import Card
from toolkit.model.card_file import read_card, write_card
from toolkit.operations.adopt import Adopted, adopt
from toolkit.operations.toolkit import Toolkit
from toolkit.requests.adopt import Adopt
from toolkit.store import Workspace
from toolkit.testing import catalog_of
from toolkit.vocabulary import Convention, SilentProgress

LETTERS = tuple(string.ascii_uppercase)


def patterns(characters: tuple[str, ...], name: str = "patterns", rank: int = 10) -> SimpleNamespace:
    """A plugin with a data set of these characters; drawn if its rank is below 0."""

    def load(request: LoadRequest) -> Dataset:
        drawn = template_images(characters, 60, seed=len(request.part))
        return Dataset(name, drawn.classes, drawn.images, drawn.labels)

    def toolkit_dataset_loaders() -> Iterable[DatasetLoader]:
        source = DatasetSource(name, name, "computed", rank=rank)
        yield DatasetLoader(name=name, summary="computed", detect=lambda _: [source], load=load)

    return SimpleNamespace(__name__=name, toolkit_dataset_loaders=hookimpl(toolkit_dataset_loaders))


def workspace(folder: Path, *plugins: SimpleNamespace) -> Toolkit:
    catalog = catalog_of(toolkit_keras, *plugins)
    return Toolkit(Workspace(folder), lambda: catalog)


def save_template_reader(
    path: Path, classes: tuple[str, ...], convention: Convention | None = None, activation: str = "softmax"
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    kernel, bias = template_reader(classes, convention)
    settings = {"units": len(classes), "activation": activation, "use_bias": True}
    dense = ("dense", "Dense", settings, {"kernel": kernel, "bias": np.maximum(bias, -1000)})
    save_keras(path, [("flatten", "Flatten", {}, {}), dense])
    return path


def adopted(toolkit: Toolkit, path: Path, **settings: object) -> Adopted:
    return adopt(toolkit, Adopt(model=path, **settings), SilentProgress())  # type: ignore[arg-type]


def test_the_card_has_what_was_found_and_how(tmp_path: Path) -> None:
    toolkit = workspace(tmp_path, patterns(CHARACTERS))
    path = save_template_reader(tmp_path / "net.h5", CHARACTERS, Convention("transposed", "raw"))
    result = adopted(toolkit, path)
    assert result.certainty == "certain"
    card = read_card(path)
    assert card is not None
    assert card.classes == result.classes == CHARACTERS
    assert card.convention == result.convention == Convention("transposed", "raw")
    assert card.made_by == ""
    assert card.metrics == {
        "validation_accuracy": result.accuracy,
        "validation_images": float(result.images),
    }
    assert result.split == "validation"
    assert card.settings["adopted"]["certainty"] == "certain"
    assert card.settings["adopted"]["dataset"] == "patterns"
    assert "points" in card.settings["adopted"]["search"]
    assert card.created
    assert [found.state for found in toolkit.verify(models=[path])] == ["ok"]
    (score,) = toolkit.evaluate(models=[path], dataset="patterns")
    assert score.accuracy == pytest.approx(result.accuracy, abs=0.06)
    assert score.assumed == ()


def test_a_card_is_replaced_with_force_only(tmp_path: Path) -> None:
    toolkit = workspace(tmp_path, patterns(CHARACTERS))
    path = save_template_reader(tmp_path / "net.h5", LETTERS)
    write_card(path, Card(name="net", classes=tuple(reversed(LETTERS)), convention=Convention(ink="dark")))
    with pytest.raises(UsageError, match=r"has a card.*--force"):
        adopted(toolkit, path)
    assert adopted(toolkit, path, force=True).classes == LETTERS
    card = read_card(path)
    assert card is not None
    assert card.classes == LETTERS


def test_the_data_set_is_chosen_by_the_number_of_classes_among_all(tmp_path: Path) -> None:
    toolkit = workspace(
        tmp_path,
        patterns(CHARACTERS, "every", 1),
        patterns(LETTERS, "letters", 2),
        patterns(("+", "-"), "signs"),
    )
    path = save_template_reader(tmp_path / "net.h5", LETTERS)
    assert adopted(toolkit, path).dataset == "letters"
    digits = save_template_reader(tmp_path / "digits.h5", tuple(string.digits))
    found = adopted(toolkit, digits)
    assert (found.dataset, found.classes) == ("every", tuple(string.digits))


def test_all_data_sets_of_that_number_are_tried(tmp_path: Path) -> None:
    other = tuple("ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩαβ")
    toolkit = workspace(tmp_path, patterns(other, "greek", 1), patterns(LETTERS, "letters", 2))
    path = save_template_reader(tmp_path / "net.h5", LETTERS)
    assert adopted(toolkit, path).dataset == "letters"
    greek = save_template_reader(tmp_path / "greek.h5", other)
    assert (adopted(toolkit, greek).dataset, adopted(toolkit, greek, force=True).classes) == ("greek", other)


def test_drawn_characters_serve_where_no_images_show_the_classes(tmp_path: Path) -> None:
    drawn, digits = patterns(CHARACTERS, "drawn", -1), patterns(tuple(string.digits), "digits")
    path = save_template_reader(tmp_path / "net.h5", LETTERS)
    result = adopted(workspace(tmp_path, digits, drawn), path)
    assert (result.dataset, result.drawn, result.classes) == ("drawn", True, LETTERS)
    card = read_card(path)
    assert card is not None
    assert set(card.metrics) == {"drawn_accuracy", "drawn_images"}
    with pytest.raises(MissingInputError, match="no data set here shows 26 classes"):
        adopted(workspace(tmp_path, digits), path, force=True)


def test_an_output_for_no_class_is_left_out_from_then_on(tmp_path: Path) -> None:
    toolkit = workspace(tmp_path, patterns(LETTERS, "letters"))
    path = save_template_reader(tmp_path / "net.h5", ("", *LETTERS), Convention(ink="dark"))
    result = adopted(toolkit, path)
    assert result.classes == ("", *LETTERS)
    assert result.convention == Convention(ink="dark")
    (score,) = toolkit.evaluate(models=[path])
    assert score.accuracy > 0.8
    assert len(score.recall) == 26


def test_sigmoid_heads_are_understood(tmp_path: Path) -> None:
    toolkit = workspace(tmp_path, patterns(tuple(string.digits), "digits"))
    path = save_template_reader(
        tmp_path / "net.h5", tuple(string.digits), Convention("transposed"), "sigmoid"
    )
    assert adopted(toolkit, path).convention == Convention("transposed")


def test_a_stated_convention_is_written(tmp_path: Path) -> None:
    toolkit = workspace(tmp_path, patterns(CHARACTERS))
    path = save_template_reader(tmp_path / "net.h5", LETTERS)
    result = adopted(toolkit, path, convention=Convention(scale="standard", mean=0.01, deviation=0.99))
    assert str(result.convention) == "upright/standard(0.01,0.99)/light"
    assert len(result.tried) == 1
    assert result.lead is None


def test_an_untrained_network_has_a_card_that_says_so(tmp_path: Path) -> None:
    toolkit = workspace(tmp_path, patterns(CHARACTERS))
    chance = np.random.default_rng(0)
    path = tmp_path / "net.h5"
    weights = {"kernel": chance.normal(0, 0.04, (784, 62)), "bias": np.zeros(62)}
    settings = {"units": 62, "activation": "softmax", "use_bias": True}
    save_keras(path, [("flatten", "Flatten", {}, {}), ("dense", "Dense", settings, weights)])
    result = adopted(toolkit, path)
    assert (result.certainty, result.convention, result.classes) == ("untrained", None, ())
    card = read_card(path)
    assert card is not None
    assert card.convention is None
    assert card.settings["adopted"]["certainty"] == "untrained"
    assert card.untrained
    most = max(one.accuracy for one in result.tried)
    assert f"no convention gives more than {100 * most:.2f} %" in result.sentence


def test_drawn_characters_are_not_tried_after_images_of_the_same(tmp_path: Path) -> None:
    toolkit = workspace(tmp_path, patterns(CHARACTERS), patterns(CHARACTERS, "drawn", -1))
    kernel = np.random.default_rng(0).normal(0, 0.04, (784, 62))
    settings = {"units": 62, "activation": "softmax", "use_bias": False}
    layers = [("flatten", "Flatten", {}, {}), ("dense", "Dense", settings, {"kernel": kernel})]
    save_keras(tmp_path / "net.h5", layers)  # type: ignore[arg-type]
    assert adopted(toolkit, tmp_path / "net.h5").dataset == "patterns"


def test_a_network_for_other_pictures_is_refused(tmp_path: Path) -> None:
    toolkit = workspace(tmp_path, patterns(CHARACTERS))
    path = tmp_path / "net.h5"
    weights = {"kernel": np.zeros((3, 3, 1, 4)), "bias": np.zeros(4)}
    save_keras(path, [("conv", "Conv2D", {"filters": 4, "kernel_size": [3, 3]}, weights)])
    with pytest.raises(UnsupportedError, match="not one number per class"):
        adopted(toolkit, path)
    assert read_card(path) is None


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    monkeypatch.chdir(tmp_path)
    catalog = catalog_of(toolkit_keras, patterns(CHARACTERS, "drawn", -1))

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(program, list(arguments), obj=CommandLine(lambda: catalog))
        return done.exit_code, done.stdout

    return run


def test_the_command_prints_what_it_found(tmp_path: Path, run: Callable[..., tuple[int, str]]) -> None:
    save_template_reader(tmp_path / "net.h5", LETTERS, Convention(ink="dark"))
    status, text = run("models", "adopt", "net.h5")
    assert status == 0
    assert "upright/unit/dark (certain)" in text
    assert "drawn glyphs" in text
    assert "net.card.json" in text
    status, text = run("--output", "json", "models", "adopt", "net.h5", "--force")
    document = json.loads(text)
    assert (status, document["convention"], document["drawn"]) == (0, "upright/unit/dark", True)
    assert document["tried"][0]["convention"] == "upright/unit/dark"
    status, text = run("--output", "json", "models", "adopt", "net.h5")
    assert (status, json.loads(text)["error"]["code"]) == (2, "usage")


def test_the_command_exits_with_4_for_an_untrained_network(
    tmp_path: Path, run: Callable[..., tuple[int, str]]
) -> None:
    settings = {"units": 10, "activation": "softmax", "use_bias": False}
    kernel = np.random.default_rng(0).normal(0, 0.04, (784, 10))
    layers = [("flatten", "Flatten", {}, {}), ("dense", "Dense", settings, {"kernel": kernel})]
    save_keras(tmp_path / "net.h5", layers)  # type: ignore[arg-type]
    status, text = run("models", "adopt", "net.h5")
    assert status == 4
    assert "unknown (untrained)" in text


@pytest.mark.parametrize(
    ("name", "convention", "accuracy"),
    [
        ("khanhtran2000-byclass.h5", Convention(), 0.88),
        ("msbrdmr-byclass.h5", Convention("transposed"), 0.86),
    ],
)
def test_other_peoples_byclass_networks_score_what_they_can_once_adopted(
    shared: Path, tmp_path: Path, name: str, convention: Convention, accuracy: float
) -> None:
    catalog = catalog_of(toolkit_keras, toolkit_onnx, toolkit_emnist, toolkit_glyphs)
    toolkit = Toolkit(Workspace(tmp_path), lambda: catalog)
    (tmp_path / "datasets").symlink_to(shared / "data" / "emnist")
    path = tmp_path / name
    path.write_bytes((shared / "models" / name).read_bytes())
    toolkit.data.open("byclass", "fit")  # into the cache
    start = time.monotonic()
    result = adopted(toolkit, path)
    assert time.monotonic() - start < 30  # a second or two on a machine without other work
    assert (result.dataset, result.convention) == ("byclass", convention)
    (score,) = toolkit.evaluate(models=[path], dataset="byclass")
    assert score.images == 12_000
    assert score.accuracy == pytest.approx(accuracy, abs=0.015)
    assert score.assumed == ()


def letters_of(shared: Path) -> SimpleNamespace:
    """A plugin with the letters of the shared ByClass images, both cases merged, as EMNIST's Letters are."""

    def load(request: LoadRequest) -> Dataset:
        library = Toolkit(shared.parent, lambda: catalog_of(toolkit_emnist)).data
        source = library.find(shared / "data" / "emnist" / "emnist-byclass-test.csv")
        data = library.loader_of(source).load(LoadRequest(source, "test"))
        labels = np.where(data.labels >= 36, data.labels - 36, data.labels - 10)
        half = np.arange(len(labels)) % 2 == (request.part == "test")
        which = np.flatnonzero((data.labels >= 10) & half)
        return Dataset("letters", LETTERS, data.images[which], labels[which].astype(np.int32))

    @hookimpl
    def toolkit_dataset_loaders() -> Iterable[DatasetLoader]:
        source = DatasetSource("letters", "letters", "26 classes", rank=13, classes=LETTERS)
        yield DatasetLoader(name="letters", summary="letters", detect=lambda _: [source], load=load)

    return SimpleNamespace(__name__="letters", toolkit_dataset_loaders=toolkit_dataset_loaders)


def test_a_network_from_pytorch_wants_dark_ink(shared: Path, tmp_path: Path) -> None:
    catalog = catalog_of(toolkit_keras, toolkit_onnx, letters_of(shared))
    toolkit = Toolkit(Workspace(tmp_path), lambda: catalog)
    path = tmp_path / "letters.onnx"
    path.write_bytes((shared / "models" / "abdo-eid-letters.onnx").read_bytes())
    result = adopted(toolkit, path)
    assert (result.dataset, result.convention) == ("letters", Convention(ink="dark"))
    assert result.classes == ("", *LETTERS)
    (score,) = toolkit.evaluate(models=[path])
    assert score.accuracy > 0.9
