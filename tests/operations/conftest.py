"""A workspace with a data set that is computed, the built-in formats, strategies and exporters; merges."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import toolkit_keras
import toolkit_onnx
import toolkit_soups
from toolkit.operations.merge import Merged, merge
from toolkit.operations.toolkit import Toolkit
from toolkit.requests.merge import Merge
from toolkit.store import Workspace
from toolkit.testing import catalog_of
from toolkit.vocabulary import SilentProgress

# Tests are imported by path, each for itself; what they share is imported by name.
sys.path.insert(0, str(Path(__file__).parent))

from merge_orders import Run, needy_plugin
from quarters import quarters_plugin, save_reader


@pytest.fixture
def toolkit(tmp_path: Path) -> Toolkit:
    catalog = catalog_of(toolkit_keras, toolkit_onnx, toolkit_soups, quarters_plugin(), needy_plugin())
    return Toolkit(Workspace(tmp_path), lambda: catalog)


@pytest.fixture
def run(toolkit: Toolkit, tmp_path: Path) -> Run:
    def order(*models: Path, **settings: Any) -> Merged:
        settings.setdefault("out", tmp_path / "models" / "emnist_model.h5")
        return merge(toolkit, Merge(tuple(models), **settings), SilentProgress())

    return order


@pytest.fixture
def family(tmp_path: Path) -> list[Path]:
    """Three relatives of one accuracy, in files that name their layers differently."""
    return [
        save_reader(
            tmp_path / "models" / f"net-{seed}.h5", seed, noise=0.12, suffix=f"_{seed}", dataset="quarters"
        )
        for seed in (1, 2, 3)
    ]
