"""Exports of the workspace's models."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.errors import UsageError
from toolkit.operations.toolkit import Toolkit


def test_an_export_is_verified_on_the_training_data_or_on_noise_alone(
    toolkit: Toolkit, family: list[Path]
) -> None:
    facts = toolkit.export(model=family[0], to="onnx").facts
    assert facts["real_images"] > 0
    without = toolkit.export(model=family[0], to="onnx", dataset="none", force=True).facts
    assert (without["real_images"], without["random_images"]) == (0, facts["random_images"])


def test_an_output_that_exists_names_the_option(toolkit: Toolkit, family: list[Path], tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"mine")
    with pytest.raises(UsageError, match="another --out"):
        toolkit.export(model=family[0], to="onnx", out=tmp_path / "mine.onnx")
