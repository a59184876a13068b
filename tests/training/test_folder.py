from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from toolkit.errors import MissingInputError, UnreadableInputError
from toolkit.training.folder import RunFolder, RunRecord

RECORD = RunRecord(
    architecture="compact-cnn",
    architecture_options={"width": 32},
    dataset="byclass",
    fit_digest="00",
    fit_images=100,
    validation_digest="01",
    validation_images=10,
    classes=("0", "é"),
    options={"epochs": 3},
    seed=1,
    versions={"keras": "3.0"},
)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.write_record(RECORD)
    assert folder.read_record() == RECORD


def test_versions_and_state_do_not_make_another_training() -> None:
    other = dataclasses.replace(RECORD, versions={"keras": "4.0"}, state="failed", created="today")
    assert RECORD.digest() == other.digest()
    assert RECORD.differences(other) == ()


def test_differences_are_named() -> None:
    other = dataclasses.replace(RECORD, seed=2, options={"epochs": 4})
    assert RECORD.digest() != other.digest()
    assert RECORD.differences(other) == ("options", "seed")


def test_a_folder_without_a_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"run\.json: no such file"):
        RunFolder(tmp_path).read_record()


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 1}', "{", '{"classes": 3}', "[" * 5000])
def test_a_damaged_record_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(UnreadableInputError, match=r"run\.json"):
        RunFolder(tmp_path).read_record()
