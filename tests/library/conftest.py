"""A library with one loader."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# Tests are imported by path, each for itself; what they share is imported by name.
sys.path.insert(0, str(Path(__file__).parent))

from shelf import Shelf

from toolkit.library import DataLibrary
from toolkit.store import Workspace


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def library(tmp_path: Path, shelf: Shelf) -> DataLibrary:
    return DataLibrary({"shelf": shelf.declared}, Workspace(tmp_path))
