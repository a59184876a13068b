"""The doctor: what is installed, what the workspace holds, and what a crash left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from quarters import save_reader

from toolkit.operations.doctor import check_installation
from toolkit.operations.toolkit import Toolkit

CRASH = """
import os, signal, sys
from pathlib import Path
from toolkit.store import publish

with publish(Path(sys.argv[1])) as staging:
    staging.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_healthy_workspace_has_no_problem(toolkit: Toolkit, tmp_path: Path) -> None:
    save_reader(tmp_path / "models" / "net.h5", 1, noise=0.1, dataset="quarters")
    found = {item.subject: item for item in check_installation(toolkit)}
    assert not [item for item in found.values() if item.state == "problem"]
    assert found["models"].detail == "1 found, 1 usable"
    assert "quarters" in found["data sets"].detail
    assert found["onnxruntime"].state == "ok"
    assert found["leftovers"].detail == "none"


def test_a_damaged_model_is_a_problem(toolkit: Toolkit, tmp_path: Path) -> None:
    path = save_reader(tmp_path / "models" / "net.h5", 1, noise=0.1, dataset="quarters")
    path.write_bytes(path.read_bytes()[:-1])
    found = {item.subject: item for item in check_installation(toolkit)}
    assert found["net.h5"].state == "problem"
    assert "SHA-256" in found["net.h5"].detail


def test_a_workspace_without_permission_is_a_problem(
    toolkit: Toolkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "workspace" not in {item.subject for item in check_installation(toolkit)}
    # Whoever runs the tests may be root, who may write everywhere.
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    found = {item.subject: item for item in check_installation(toolkit)}
    assert found["workspace"].state == "problem"


def test_what_a_killed_writer_left_is_removed(toolkit: Toolkit, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    subprocess.run([sys.executable, "-c", CRASH, str(models / "card.json")], check=False)
    assert len(list(models.iterdir())) == 1
    deadline = time.monotonic() + 60
    while list(models.iterdir()) and time.monotonic() < deadline:
        found = {item.subject: item for item in check_installation(toolkit)}
    assert not list(models.iterdir())
    assert "1 unfinished" in found["leftovers"].detail
