"""Predicting characters: every picture gets its row, whatever is wrong with the others."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from quarters import CLASSES, save_reader

from toolkit.cli.context import CommandLine
from toolkit.cli.main import toolkit as program
from toolkit.errors import MissingInputError, UsageError
from toolkit.operations.open_model import open_model
from toolkit.operations.predict import classifier_of, predict
from toolkit.operations.toolkit import Toolkit
from toolkit.requests.predict import Predict
from toolkit.vocabulary import SilentProgress

QUIET = SilentProgress()


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    return save_reader(tmp_path / "models" / "reader.h5", 1, noise=0.01, dataset="quarters")


def stroke(column: int = 40) -> bytes:
    page = np.full((90, 90), 250, np.uint8)
    page[20:70, column : column + 10] = 20
    content = io.BytesIO()
    Image.fromarray(page).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with pictures, other files and a subfolder, in the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    for name in ("b.png", "a.PNG", "c.jpeg", ".hidden.png", "below/d.png", "notes.txt"):
        (folder / name).write_bytes(stroke())
    Image.new("L", (50, 50), 255).save(folder / "blank.png")
    return Path("pictures")


def command(toolkit: Toolkit, *arguments: str, given: bytes = b"") -> Result:
    """``toolkit predict``, in this process."""
    line = CommandLine(lambda: toolkit.catalog)
    return CliRunner().invoke(program, ["predict", *arguments], obj=line, input=given, prog_name="toolkit")


def test_the_best_predictions_come_first(toolkit: Toolkit, reader: Path, tmp_path: Path) -> None:
    (tmp_path / "stroke.png").write_bytes(stroke())
    (row,) = predict(toolkit, Predict(reader, (tmp_path / "stroke.png",), top=3), QUIET).images
    assert len(row.predictions) == 3
    assert {item.character for item in row.predictions} < set(CLASSES)
    assert [item.probability for item in row.predictions] == sorted(
        (item.probability for item in row.predictions), reverse=True
    )
    with pytest.raises(UsageError, match="top must be 1 or above, received 0"):
        toolkit.predict(Predict(reader, (tmp_path / "stroke.png",), top=0))


def test_one_unreadable_picture_costs_its_own_row_only(
    toolkit: Toolkit, reader: Path, pictures: Path
) -> None:
    given = (pictures / "a.PNG", pictures / "blank.png", Path("none.png"), pictures / "b.png")
    rows = predict(toolkit, Predict(reader, given), QUIET).images
    assert [row.image for row in rows] == [str(path) for path in given]
    assert [row.error and row.error.code for row in rows] == [None, "unreadable", "not_found", None]
    assert [bool(row.predictions) for row in rows] == [True, False, False, True]


def test_the_command_prints_all_others_and_exits_3(toolkit: Toolkit, reader: Path, pictures: Path) -> None:
    arguments = [str(reader), "pictures/a.PNG", "pictures/blank.png", "pictures/b.png", "none.png"]
    done = command(toolkit, *arguments)
    assert done.exit_code == 3
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["pictures/a.PNG", "pictures/b.png"]
    assert "warning: no ink was found in pictures/blank.png" in done.stderr
    assert "error: 2 of 4 pictures could not be read" in done.stderr

    done = command(toolkit, *arguments, "--output", "json")
    assert done.exit_code == 3
    rows = json.loads(done.stdout)["images"]
    assert [bool(row["predictions"]) for row in rows] == [True, False, True, False]
    assert [row["error"] and row["error"]["code"] for row in rows] == [None, "unreadable", None, "not_found"]
    assert set(rows[0]["predictions"][0]) == {"character", "probability"}


def test_a_single_unreadable_picture_is_one_line(toolkit: Toolkit, reader: Path, pictures: Path) -> None:
    done = command(toolkit, str(reader), "pictures/blank.png")
    assert done.exit_code == 3
    assert done.stdout == ""
    assert done.stderr.startswith("error: no ink was found in pictures/blank.png (")
    assert done.stderr.count("\n") == 1


def test_the_pictures_of_a_folder_are_read_by_name_without_subfolders(
    toolkit: Toolkit, reader: Path, pictures: Path
) -> None:
    rows = predict(toolkit, Predict(reader, (pictures, pictures / "below")), QUIET).images
    names = ["a.PNG", "b.png", "blank.png", "c.jpeg", "below/d.png"]
    assert [row.image for row in rows] == [f"pictures/{name}" for name in names]


def test_a_folder_without_pictures_is_an_error_of_its_own(
    toolkit: Toolkit, reader: Path, pictures: Path
) -> None:
    Path("empty").mkdir()
    empty, _, *_ = predict(toolkit, Predict(reader, (Path("empty"), pictures)), QUIET).images
    assert isinstance(empty.error, MissingInputError)
    assert "empty: no readable PNG or JPEG files" in str(empty.error)


def test_a_picture_is_read_from_standard_input(toolkit: Toolkit, reader: Path, pictures: Path) -> None:
    done = command(toolkit, str(reader), "-", "pictures/b.png", "--output", "json", given=stroke())
    assert done.exit_code == 0, done.stderr
    given, named = json.loads(done.stdout)["images"]
    assert given["image"] == "-"
    assert given["predictions"] == named["predictions"]

    done = command(toolkit, str(reader), "-", given=b"text")
    assert done.exit_code == 3
    assert "standard input is not a picture" in done.stderr


def test_two_pictures_of_one_name_stay_apart(toolkit: Toolkit, reader: Path, pictures: Path) -> None:
    Path("b.png").write_bytes(stroke(column=10))
    done = command(toolkit, str(reader), "b.png", "pictures/b.png", "--output", "json")
    rows = json.loads(done.stdout)["images"]
    assert [row["image"] for row in rows] == ["b.png", "pictures/b.png"]


def test_the_input_of_the_network_is_saved(toolkit: Toolkit, reader: Path, pictures: Path) -> None:
    given = (pictures / "b.png", pictures / "b.png", Path("b-2.png"), pictures / "blank.png")
    Path("b-2.png").write_bytes(stroke())
    request = Predict(reader, given, save_input=Path("seen"))
    rows = predict(toolkit, request, QUIET).images
    names = [row.saved and row.saved.name for row in rows]
    assert names == ["b.28x28.png", "b-2.28x28.png", "b-2-2.28x28.png", None]
    with Image.open("seen/b.28x28.png") as seen:
        assert (seen.size, seen.mode) == ((28, 28), "L")

    before = Path("seen/b.28x28.png").stat().st_mtime_ns
    with pytest.raises(UsageError, match=r"seen/b\.28x28\.png exists"):
        predict(toolkit, request, QUIET)
    assert Path("seen/b.28x28.png").stat().st_mtime_ns == before
    done = command(toolkit, str(reader), "pictures/b.png", "--save-input", "seen", "--force")
    assert done.exit_code == 0, done.stderr


def test_the_outputs_of_a_model_without_classes_are_numbered(toolkit: Toolkit, tmp_path: Path) -> None:
    bare = save_reader(tmp_path / "bare.h5", 1, noise=0.01)
    classifier = classifier_of(open_model(toolkit, bare))
    assert classifier.classes == ("#0", "#1", "#2", "#3")
    bright = np.zeros((1, 28, 28), np.uint8)
    bright[0, :14, 14:] = 255
    assert classifier.classify(bright, 1)[0][0].character == "#1"
    (tmp_path / "stroke.png").write_bytes(stroke())
    done = command(toolkit, str(bare), str(tmp_path / "stroke.png"))
    assert "  #" in done.stdout
    assert "its classes are taken from the output numbers" in done.stderr
