"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real EMNIST images and other people's networks, beside the checkout; skips where they are not."""
    if not (SHARED / "data" / "emnist").is_dir():
        pytest.skip("no ../shared beside this checkout")
    return SHARED
