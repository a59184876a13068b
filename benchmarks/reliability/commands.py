"""Real commands, killed at random moments."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.reliability.disturbances import Figures, scratch_folder
from benchmarks.reliability.samples import keras_model
from toolkit.host.catalog import Catalog
from toolkit.model.card_file import publish_model, read_with_card
from toolkit.store.clean_staging import clean_staging
from toolkit.tensors import weights_digest

_MERGE = ("merge", "models/a.h5", "models/b.h5", "--strategy", "mean", "--dataset", "none")
_EXPORT = ("export", "models/b.h5", "--to", "keras", "--out", "models/emnist_model.keras")


def kill_commands(times: int) -> list[Figures]:
    """Kill `toolkit merge` and `toolkit export` while they overwrite what they made before.

    Args:
        times: How often each.
    """
    return [
        _kill("toolkit merge", _MERGE, "emnist_model.h5", times),
        _kill("toolkit export", _EXPORT, "emnist_model.keras", times),
    ]


def _kill(name: str, command: Sequence[str], output: str, times: int) -> Figures:
    figures = Figures(name, "random kill", 0)
    generator = random.Random(name)
    folder = scratch_folder()
    try:
        target = folder / "models" / output
        _add(folder / "models" / "a.h5", "first")
        _add(folder / "models" / "b.h5", "second")
        _add(target, "before")
        old = _state(target)
        started = time.monotonic()
        _start(folder, command).wait()
        needed = time.monotonic() - started
        new = _state(target)
        if old == new or "before" in new:
            raise RuntimeError(f"{name} did not replace {output}: nothing could be learnt from killing it")
        for _ in range(times):
            _add(target, "before")
            process = _start(folder, command)
            # Most of the time goes into starting: what matters comes towards the end.
            time.sleep(generator.uniform(0.5, 1.1) * needed)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            _count(figures, _state(target), old, new, clean_staging(folder))
    finally:
        shutil.rmtree(folder)
    return figures


def _start(folder: Path, command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "toolkit", *command],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _add(path: Path, name: str) -> None:
    model = keras_model(name)
    write = Catalog.load().format_of(path).write
    assert write is not None
    publish_model(path, lambda staging: write(model, staging), model.card)


def _state(path: Path) -> str:
    """Name in the card and weights of a model, read as a command reads it."""
    model, card = read_with_card(path, Catalog.load().format_of(path).read)
    return f"{'no card' if card is None else card.name} {weights_digest(model.tensors)}"


def _count(figures: Figures, state: str, old: str, new: str, swept: Sequence[Path]) -> None:
    figures.trials += 1
    if state == old:
        figures.old += 1
    elif state == new:
        figures.new += 1
    else:
        figures.violations.append(f"{figures.scenario}: {state} after a kill, {len(swept)} staging files")
