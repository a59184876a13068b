"""The image that a plain drawing becomes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit.pictures import prepare_picture

# Tests are imported by path, each on its own; what they share is imported by name.
sys.path.insert(0, str(Path(__file__).parent))

from drawings import draw, encoded


@pytest.fixture(scope="module")
def plain() -> NDArray[np.uint8]:
    return prepare_picture(encoded(draw()))
