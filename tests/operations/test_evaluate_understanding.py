"""Evaluating and predicting with networks whose convention is assumed."""

from __future__ import annotations

import json
import string
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from quarters import save_keras
from template_readers import CHARACTERS
from test_adopt import patterns, save_template_reader, workspace

import toolkit_keras
from toolkit.cli.context import CommandLine
from toolkit.cli.main import toolkit as program
from toolkit.errors import MissingInputError
from toolkit.model import Card
from toolkit.model.card_file import write_card
from toolkit.operations.toolkit import Toolkit
from toolkit.testing import catalog_of
from toolkit.vocabulary import Convention

DIGITS = tuple(string.digits)
LETTERS = tuple(string.ascii_uppercase)


@pytest.fixture
def toolkit(tmp_path: Path) -> Toolkit:
    return workspace(tmp_path, patterns(CHARACTERS, "every", 1), patterns(DIGITS, "digits", 2))


def test_an_assumed_convention_that_reads_little_is_named_with_a_better_one(
    toolkit: Toolkit, tmp_path: Path
) -> None:
    path = save_template_reader(tmp_path / "net.h5", DIGITS, Convention("transposed", ink="dark"))
    (score,) = toolkit.evaluate(models=[path])
    assert score.accuracy < 0.5
    assert score.doubt.startswith("net.h5 reads ")
    assert "as upright/unit/light" in score.doubt
    assert "use --convention net.h5=transposed/unit/dark" in score.doubt
    assert f"`toolkit models adopt {path}`" in score.doubt
    (told,) = toolkit.evaluate(models=[path], conventions={"net.h5": "transposed/unit/dark"})
    assert told.accuracy > 0.8
    assert told.doubt == ""


def test_a_convention_in_a_card_is_in_doubt_too(toolkit: Toolkit, tmp_path: Path) -> None:
    path = save_template_reader(tmp_path / "net.h5", DIGITS, Convention("transposed"))
    write_card(path, Card(classes=DIGITS, convention=Convention()))
    (score,) = toolkit.evaluate(models=[path])
    assert "--convention net.h5=transposed/unit/light" in score.doubt


def test_another_order_of_classes_is_named(toolkit: Toolkit, tmp_path: Path) -> None:
    order = (*string.ascii_lowercase, *string.ascii_uppercase, *string.digits)
    path = save_template_reader(tmp_path / "net.h5", order)
    (score,) = toolkit.evaluate(models=[path])
    assert "another order (small letters, capitals, digits)" in score.doubt
    assert "toolkit models adopt" in score.doubt


def test_a_network_that_reads_nothing_is_said_to_be_untrained(toolkit: Toolkit, tmp_path: Path) -> None:
    path = tmp_path / "net.h5"
    kernel = np.random.default_rng(0).normal(0, 0.04, (784, 62))
    settings = {"units": 62, "activation": "softmax", "use_bias": False}
    save_keras(path, [("flatten", "Flatten", {}, {}), ("dense", "Dense", settings, {"kernel": kernel})])
    (score,) = toolkit.evaluate(models=[path])
    assert "it is untrained" in score.doubt
    toolkit.adopt(model=path)
    (again,) = toolkit.evaluate(models=[path])
    assert "net.h5 is untrained, as its card says" in again.assumed


def test_each_model_is_evaluated_on_the_data_set_with_its_classes(toolkit: Toolkit, tmp_path: Path) -> None:
    digits = save_template_reader(tmp_path / "digits.h5", DIGITS)
    every = save_template_reader(tmp_path / "every.h5", CHARACTERS)
    letters = save_template_reader(tmp_path / "letters.h5", LETTERS)
    scores = toolkit.evaluate(models=[digits, every, letters])
    assert [score.dataset for score in scores] == ["digits", "every", ""]
    assert [score.error is None for score in scores] == [True, True, False]
    assert isinstance(scores[2].error, MissingInputError)
    assert "letters.h5 has 26 classes; no data set here has them: every (62), digits (10)" in str(
        scores[2].error
    )
    with pytest.raises(MissingInputError, match="26 classes"):
        toolkit.evaluate(models=[letters])


def test_a_data_set_with_all_classes_is_preferred_to_one_with_some(tmp_path: Path) -> None:
    some, every = patterns(DIGITS, "digits", 1), patterns(CHARACTERS, "every", 2)
    path = save_template_reader(tmp_path / "net.h5", CHARACTERS)
    write_card(path, Card(classes=CHARACTERS, convention=Convention()))
    (score,) = workspace(tmp_path, some, every).evaluate(models=[path])
    assert score.dataset == "every"
    (score,) = workspace(tmp_path, some).evaluate(models=[path])
    assert score.dataset == "digits"


def test_a_network_with_an_unused_output_is_evaluated_without_it(tmp_path: Path) -> None:
    toolkit = workspace(tmp_path, patterns(LETTERS, "letters"))
    path = save_template_reader(tmp_path / "net.h5", ("", *LETTERS))
    (score,) = toolkit.evaluate(models=[path])
    assert score.accuracy > 0.8
    assert set(score.recall) == set(LETTERS)
    assert any("output 0 is unused" in assumption for assumption in score.assumed)


def test_the_command_prints_a_table_for_each_data_set_and_what_is_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    catalog = catalog_of(toolkit_keras, patterns(CHARACTERS, "every", 1), patterns(DIGITS, "digits", 2))
    save_template_reader(tmp_path / "digits.h5", DIGITS, Convention(ink="dark"))
    save_template_reader(tmp_path / "every.h5", CHARACTERS)
    save_template_reader(tmp_path / "letters.h5", LETTERS)
    names = ["digits.h5", "every.h5", "letters.h5"]
    done = CliRunner().invoke(program, ["evaluate", *names], obj=CommandLine(lambda: catalog))
    assert done.exit_code == 3
    assert "digits, test: " in done.stdout
    assert "every, test: " in done.stdout
    assert "use --convention digits.h5=upright/unit/dark" in done.stdout
    assert "letters.h5 was not evaluated: letters.h5 has 26 classes" in done.stderr
    arguments = ["--output", "json", "evaluate", *names]
    document = json.loads(CliRunner().invoke(program, arguments, obj=CommandLine(lambda: catalog)).stdout)
    assert document["scores"][2]["accuracy"] is None
    assert document["scores"][2]["error"]["code"] == "not_found"


def test_predictions_without_a_card_are_output_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_template_reader(tmp_path / "net.h5", DIGITS)
    picture = np.zeros((28, 28), np.uint8)
    picture[4:24, 12:16] = 255
    Image.fromarray(picture).save("one.png")
    line = CommandLine(lambda: catalog_of(toolkit_keras))
    text = CliRunner().invoke(program, ["predict", "net.h5", "one.png"], obj=line)
    assert text.exit_code == 0
    assert "#" in text.stdout.split()[1]
    assert "input format upright/unit/light assumed" in text.stderr
    assert "toolkit models adopt" in text.stderr
    arguments = ["--output", "json", "predict", "net.h5", "one.png", "--top", "10"]
    document = json.loads(CliRunner().invoke(program, arguments, obj=line).stdout)
    characters = {item["character"] for item in document["images"][0]["predictions"]}
    assert characters == {f"#{output}" for output in range(10)}
