"""Two models beside each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from quarters import save_reader

import toolkit_keras
from toolkit.operations.compare import ComparedPair, compare_models
from toolkit.operations.toolkit import Toolkit
from toolkit.requests.compare import CompareModels
from toolkit.store import Workspace
from toolkit.testing import catalog_of
from toolkit.vocabulary import SilentProgress


@pytest.mark.parametrize("suffix", ["", "_7"])
def test_a_copy_is_the_same_model_whatever_its_layers_are_called(tmp_path: Path, suffix: str) -> None:
    toolkit = Toolkit(Workspace(tmp_path), lambda: catalog_of(toolkit_keras))
    first = save_reader(tmp_path / "first.h5", 1, noise=0.01)
    copy = save_reader(tmp_path / "copy.h5", 1, noise=0.01, suffix=suffix)
    relative = save_reader(tmp_path / "relative.h5", 2, noise=0.01, suffix=suffix)

    def compare(*models: Path) -> tuple[ComparedPair, ...]:
        return compare_models(toolkit, CompareModels(models), SilentProgress())

    pairs = [*compare(first, copy), *compare(first, relative)]
    same = {pair.second.stem: pair.same_weights for pair in pairs}
    assert same == {"copy": True, "relative": False}
