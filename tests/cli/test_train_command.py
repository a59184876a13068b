"""What ``toolkit train`` takes beside ``--resume``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("typed", [["--seed", "0"], ["--epochs", "3"], ["-o", "shift=1"]])
def test_a_resumed_run_takes_no_other_options(run_toolkit: Callable[..., Any], typed: list[str]) -> None:
    done = run_toolkit("train", "--resume", "yesterday", *typed)
    assert done.status == 2
    assert f"received {typed[0]}" in done.err


def test_what_the_environment_says_is_for_new_runs(run_toolkit: Callable[..., Any]) -> None:
    environ = {"TOOLKIT_TRAIN_DATASET": "glyphs", "TOOLKIT_TRAIN_SEED": "5"}
    done = run_toolkit("train", "--resume", "yesterday", environ=environ)
    assert done.status == 3
    assert "yesterday: no such run" in done.err
