"""The program as a process, and as a function."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Tests are imported by path, each for itself; what they share is imported by name.
sys.path.insert(0, str(Path(__file__).parent))

PLUGINS = Path(__file__).resolve().parents[1] / "data" / "plugins"


@dataclass(frozen=True)
class Done:
    """A process that has ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


@pytest.fixture
def run_toolkit(tmp_path: Path) -> Callable[..., Done]:
    """Runs ``toolkit`` in an empty folder, in a process of its own."""

    def run(
        *arguments: str,
        plugins: Sequence[str] = (),
        environ: dict[str, str] | None = None,
        timeout: float = 300,
    ) -> Done:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TOOLKIT_")}
        clean |= {"PYTHONPATH": os.pathsep.join(str(PLUGINS / name) for name in plugins), **(environ or {})}
        done = subprocess.run(
            [sys.executable, "-m", "toolkit", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=clean,
            timeout=timeout,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run
