"""Keras where a test needs it, and a little file that needs none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

# Tests are imported by path, each for itself; what they share is imported by name.
sys.path.insert(0, str(Path(__file__).parent))

from keras_files import SMALL, small_arrays, write_legacy


@pytest.fixture(scope="session")
def keras() -> Any:
    """Keras on TensorFlow; imported once, when the first test asks for it."""
    module = pytest.importorskip("keras")
    module.utils.set_random_seed(0)
    return module


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_legacy(tmp_path / "small.h5", SMALL, small_arrays())
