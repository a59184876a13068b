"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

# Tests are imported by path, each for itself; what they share is imported by name.
sys.path.insert(0, str(Path(__file__).parent))

SHARED = Path(__file__).resolve().parents[2] / "shared"

# Whoever starts the tests in the background of a script has them ignore Ctrl-C, and every program that
# they start: those are interrupted by tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real EMNIST images and other people's networks, beside the checkout; skips where they are not."""
    if not (SHARED / "data" / "emnist").is_dir():
        pytest.skip("no ../shared beside this checkout")
    return SHARED
