"""What a run was asked for is understood from any working directory, and a damaged file is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from toolkit.declarations import DatasetSource
from toolkit.errors import UnreadableInputError
from toolkit.operations.train_order import TrainOrder, read_order, write_order
from toolkit.store import Workspace
from toolkit.vocabulary import Convention

SOURCE = DatasetSource("byclass", "emnist", "")
STANDARD = Convention("transposed", "standard", "dark", 0.1307, 1e-05)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = tmp_path / "here" / "runs" / "one"
    run.mkdir(parents=True)
    return run


def test_an_order_is_read_as_it_was_written(folder: Path, tmp_path: Path) -> None:
    start = tmp_path / "elsewhere" / "a.h5"
    order = TrainOrder("emnist-ByClass", None, ("shift=1", "width=4"), 3, 7, start, "one", STANDARD)
    write_order(folder, order, SOURCE, Workspace(tmp_path / "here"))
    assert read_order(folder) == order


def test_the_data_set_that_was_found_is_written_down(folder: Path, tmp_path: Path) -> None:
    write_order(folder, TrainOrder(), SOURCE, Workspace(tmp_path / "here"))
    assert read_order(folder) == TrainOrder("byclass")


def test_paths_hold_from_another_directory_and_after_a_move(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    for path in (here / "sets", here / "models"):
        path.mkdir()
    (here / "models" / "a.h5").touch()
    monkeypatch.chdir(here)
    order = TrainOrder("sets", start_from=Path("models/a.h5"))
    write_order(Path("runs/one"), order, SOURCE, Workspace(Path()))
    assert read_order(Path("runs/one")) == order
    there = tmp_path / "moved" / "there"
    shutil.copytree(here, there)
    shutil.rmtree(here / "runs")
    monkeypatch.chdir(tmp_path / "moved")
    found = read_order(there / "runs" / "one")
    assert found.start_from is not None
    assert found.start_from.samefile(there / "models" / "a.h5")
    assert found.dataset is not None
    assert Path(found.dataset).samefile(there / "sets")


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": "x"},
        {"seed": -1},
        {"name": "../../evil"},
        {"options": 5},
        {"dataset": None},
        {"dataset": 7},
        {"start_from": 7},
        {"convention": {"orientation": "upright", "colour": 1}},
        {"unheard": "of"},
    ],
)
def test_an_order_that_was_tampered_with_is_refused(
    folder: Path, tmp_path: Path, changed: dict[str, Any]
) -> None:
    write_order(folder, TrainOrder(), SOURCE, Workspace(tmp_path / "here"))
    path = folder / "order.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(UnreadableInputError, match=r"order\.json: not a run's order"):
        read_order(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_order_is_refused(folder: Path, content: bytes) -> None:
    (folder / "order.json").write_bytes(content)
    with pytest.raises(UnreadableInputError, match=r"order\.json"):
        read_order(folder)
