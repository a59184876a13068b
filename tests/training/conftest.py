"""The tiny training that these tests share."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

TINY = Path(__file__).with_name("tiny.py")


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The module beside this file."""
    specification = importlib.util.spec_from_file_location("tiny_training", TINY)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["tiny_training"] = module
    specification.loader.exec_module(module)
    return module
