"""A workspace with a data set that is computed, and the built-in formats, strategies and exporters."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import toolkit_keras
import toolkit_onnx
import toolkit_soups
from toolkit.operations.context import Toolkit
from toolkit.store import Workspace
from toolkit.testing import catalog_of

# Tests are imported by path, each for itself; what they share is imported by name.
sys.path.insert(0, str(Path(__file__).parent))

from quarters import quarters_plugin


@pytest.fixture
def toolkit(tmp_path: Path) -> Toolkit:
    catalog = catalog_of(toolkit_keras, toolkit_onnx, toolkit_soups, quarters_plugin())
    return Toolkit(Workspace(tmp_path), lambda: catalog)
