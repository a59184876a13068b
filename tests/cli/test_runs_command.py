"""``toolkit runs`` as typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolkit.training.folder import RunFolder, RunRecord
from toolkit.training.history import EpochRecord, history_csv


@pytest.fixture
def run(tmp_path: Path) -> Path:
    files = RunFolder(tmp_path / "runs" / "20260102-glyphs")
    files.write_record(
        RunRecord(
            "tiny", {}, "glyphs", "00", 9, "01", 2, ("a", "b"), {"epochs": 4}, 1, created="2026-01-02T03:04"
        )
    )
    files.history.write_text(history_csv([EpochRecord(1, 1.0, 0.5, 1.0, 0.8536, 0.001, 1234.0, 1.0)]))
    return files.path


def test_runs_are_listed_shown_and_removed(run_toolkit: Callable[..., Any], run: Path) -> None:
    workspace = ("--workspace", str(run.parent.parent))
    listed = run_toolkit("runs", "list", *workspace)
    assert listed.status == 0
    row = listed.out.splitlines()[1].split()
    assert row == [
        "20260102-glyphs", "interrupted", "2026-01-02", "03:04", "glyphs", "tiny", "1/4", "85.36", "%"
    ]  # fmt: skip
    shown = run_toolkit("runs", "show", "latest", *workspace)
    assert "state         interrupted" in shown.out
    assert "1/4  1.0000" in shown.out
    document = json.loads(run_toolkit("--output", "json", "runs", "list", *workspace).out)
    assert document["runs"][0]["validation_accuracy"] == 0.8536
    removed = run_toolkit("runs", "rm", run.name, *workspace)
    assert (removed.status, removed.out.strip()) == (0, f"removed {run.name}")
    assert not run.exists()
    assert run_toolkit("runs", "list", *workspace).out.strip() == "no runs"
    assert run_toolkit("runs", "show", "latest", *workspace).status == 3
