"""What the series of ended commands counts."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from benchmarks.reliability import commands


def test_a_process_that_ended_before_its_signal_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    start = commands._start

    def start_and_wait(*arguments: Any, **settings: Any) -> subprocess.Popen[str]:
        process = start(*arguments, **settings)
        process.wait()
        return process

    monkeypatch.setattr(commands, "_start", start_and_wait)
    monkeypatch.setattr(commands, "_ATTEMPTS", 1)
    assert commands.end_command("toolkit export", "random kill", 1).trials == 0
