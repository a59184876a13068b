"""The request of a training as a file: read from any directory, completed by what is typed, or refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from toolkit.errors import ConfigurationError, ToolkitError, UsageError
from toolkit.operations.train_config import given_options, read_config, with_config, write_config
from toolkit.requests.train import Train
from toolkit.store import Workspace
from toolkit.vocabulary import Convention

STANDARD = Convention("transposed", "standard", "dark", 0.1307, 0.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = tmp_path / "here" / "runs" / "one"
    run.mkdir(parents=True)
    return run


def test_a_request_is_read_as_it_was_written(folder: Path, tmp_path: Path) -> None:
    request = Train(
        dataset="emnist-byclass",
        epochs=3,
        seed=7,
        from_model=tmp_path / "elsewhere" / "a.h5",
        name="one",
        convention=STANDARD,
        options={"train": {"shift": 1.5}, "loader": {"test_share": 0.5}},
    )
    write_config(folder / "run.toml", request, Workspace(tmp_path / "here"))
    assert read_config(folder / "run.toml") == request


def test_paths_hold_from_another_directory_and_after_a_move(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    for path in (here / "sets", here / "models"):
        path.mkdir()
    (here / "models" / "a.h5").touch()
    monkeypatch.chdir(here)
    request = Train(dataset="./sets", from_model=Path("models/a.h5"))
    write_config(Path("runs/one/run.toml"), request, Workspace(Path()))
    found = read_config(Path("runs/one/run.toml"))
    assert (found.dataset, found.from_model) == ("sets", Path("models/a.h5"))
    there = tmp_path / "moved" / "there"
    shutil.copytree(here, there)
    shutil.rmtree(here / "runs")
    monkeypatch.chdir(tmp_path / "moved")
    found = read_config(there / "runs" / "one" / "run.toml")
    assert found.from_model is not None
    assert found.from_model.samefile(there / "models" / "a.h5")
    assert found.dataset is not None
    assert Path(found.dataset).samefile(there / "sets")


def test_what_is_typed_takes_precedence_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'dataset = "glyphs"\nseed = 5\nepochs = 9\n[options.train]\nshift = 1.0\nrotation = 2.0\n'
    )
    request = with_config(Train(config=file, seed=0, name="b", options=("shift=3", "arch.width=8")))
    assert (request.dataset, request.epochs, request.seed, request.name) == ("glyphs", 9, 0, "b")
    assert request.config is None
    assert given_options(request) == {"train.rotation": 2.0, "shift": "3", "arch.width": "8"}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('seed = "x"', "seed"),
        ("seed = -1", "seed"),
        ("unheard = 1", "unheard"),
        ("from_model = 7", "from_model"),
        ('convention = "sideways"', "convention"),
        ('resume = "latest"', "resume is for the command line only"),
        ("force = true", "force is for the command line only"),
        ("{", "not a TOML file"),
        ("a = " + "[" * 5000, "not a TOML file"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "run.toml").write_text(content)
    with pytest.raises(ToolkitError, match=complaint) as caught:
        read_config(tmp_path / "run.toml")
    assert isinstance(caught.value, UsageError | ConfigurationError)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not a TOML file"):
        read_config(tmp_path / "run.toml")
