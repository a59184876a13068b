from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from toolkit.errors import MissingInputError, UnreadableInputError
from toolkit.training import RunConfiguration, RunFolder

CONFIGURATION = RunConfiguration(
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


def test_a_configuration_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.write_configuration(CONFIGURATION)
    assert folder.read_configuration() == CONFIGURATION


def test_versions_do_not_make_another_training() -> None:
    other = dataclasses.replace(CONFIGURATION, versions={"keras": "4.0"})
    assert CONFIGURATION.digest() == other.digest()
    assert CONFIGURATION.differences(other) == ()


def test_differences_are_named() -> None:
    other = dataclasses.replace(CONFIGURATION, seed=2, options={"epochs": 4})
    assert CONFIGURATION.digest() != other.digest()
    assert CONFIGURATION.differences(other) == ("options", "seed")


def test_a_folder_without_a_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="holds no run"):
        RunFolder(tmp_path).read_configuration()


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 1}', "{", '{"classes": 3}'])
def test_a_damaged_configuration_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UnreadableInputError, match=r"config\.json"):
        RunFolder(tmp_path).read_configuration()
