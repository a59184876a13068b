"""Real commands, ended at random moments: SIGKILL, SIGTERM and Ctrl-C."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

from benchmarks.reliability.disturbances import Figures, scratch_folder
from benchmarks.reliability.samples import keras_model
from toolkit.host.catalog import Catalog
from toolkit.model.card_file import publish_model, read_with_card
from toolkit.store.staging import clean_staging
from toolkit.tensors import weights_digest

COMMANDS = {
    "toolkit merge": (
        "emnist_model.h5",
        ("merge", "models/a.h5", "models/b.h5", "--strategy", "mean", "--dataset", "none", "--keep-worse"),
    ),
    "toolkit export": (
        "emnist_model.keras",
        ("export", "models/b.h5", "--to", "keras", "--out", "models/emnist_model.keras", "--force"),
    ),
}
SIGNALS = {"random kill": signal.SIGKILL, "random SIGTERM": signal.SIGTERM, "random Ctrl-C": signal.SIGINT}

_ENDED = {signal.SIGTERM: 143, signal.SIGINT: 130}
_ROOT = Path(__file__).resolve().parents[2]
_ATTEMPTS = 4
_PROGRAM = "from toolkit.__main__ import main; main()"
# Slow, so that a random moment is likely to find the target half written.
_BROKEN_PROGRAM = (
    "import time\n"
    "from benchmarks.reliability.scenarios import plain_open\n"
    "from toolkit.__main__ import main\n"
    "with plain_open(pause=time.sleep): main()"
)


def end_command(name: str, kind: str, times: int, *, broken: bool = False) -> Figures:
    """End a command at random moments while it overwrites its earlier output.

    Args:
        name: Of :data:`COMMANDS`.
        kind: Of :data:`SIGNALS`.
        times: Number of trials. A process that had ended before its signal is not a trial.
        broken: Run the command with a plain writer instead of the atomic one: the control.
    """
    output, command = COMMANDS[name]
    figures = Figures(name, kind)
    generator = random.Random(f"{name} {kind}")
    folder = scratch_folder()
    try:
        target = folder / "models" / output
        for path, label in ((folder / "models" / "a.h5", "first"), (folder / "models" / "b.h5", "second")):
            _add(path, label)
        _add(target, "before")
        old = _state(target)
        started = time.monotonic()
        _, said = _start(folder, command, broken=broken).communicate()
        needed = time.monotonic() - started
        new = _state(target)
        if old == new or "before" in new:
            raise RuntimeError(f"{name} did not replace {output}: {said}")
        for _ in range(_ATTEMPTS * times):
            if figures.trials == times:
                break
            _add(target, "before")
            process = _start(folder, command, broken=broken)
            time.sleep(generator.uniform(0.3, 1.0) * needed)
            if process.poll() is not None:
                process.communicate()
                needed *= 0.95  # the machine is faster than it was
                continue
            os.killpg(process.pid, SIGNALS[kind])
            _, said = process.communicate()
            _count(figures, _found(target), old, new)
            _judge(figures, SIGNALS[kind], process.returncode, said, [] if broken else clean_staging(folder))
    finally:
        shutil.rmtree(folder)
    return figures


def _start(folder: Path, command: Sequence[str], *, broken: bool) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _BROKEN_PROGRAM if broken else _PROGRAM, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _add(path: Path, name: str) -> None:
    model = keras_model(name)
    write = Catalog.load().format_for(path).write
    assert write is not None
    # Commands replace only what they made themselves.
    card = dataclasses.replace(model.card, made_by="merge" if name == "before" else "train")
    publish_model(path, lambda staging: write(model, staging), card)


def _state(path: Path) -> str:
    """Name in the card and weights of a model, read as a command reads it."""
    model, card = read_with_card(path, Catalog.load().format_of(path).read)
    return f"{'no card' if card is None else card.name} {weights_digest(model.tensors)}"


def _found(path: Path) -> str:
    """The state of the model, if the report and the recipe beside it are complete."""
    try:
        state = _state(path)
        for beside in path.parent.glob(f"{path.stem}*"):
            if beside.name.endswith(".report.json"):
                json.loads(beside.read_text())
            elif beside.name.endswith(".recipe.toml"):
                tomllib.loads(beside.read_text())
            elif beside.name.endswith(".report.html") and not beside.read_text().rstrip().endswith("</html>"):
                return f"{beside.name} is not complete"
    except Exception as error:  # noqa: BLE001 - whatever a reader meets is the finding
        return f"{type(error).__name__}: {error}"
    return state


def _count(figures: Figures, state: str, old: str, new: str) -> None:
    figures.trials += 1
    if state == old:
        figures.old += 1
    elif state == new:
        figures.new += 1
    else:
        figures.violations.append(f"{figures.scenario}, {figures.kind}: {state}")


def _judge(
    figures: Figures, sent: signal.Signals, status: int, said: str, unfinished: Sequence[Path]
) -> None:
    """A process that can react ends with its status, without a traceback, and cleans up."""
    if sent is signal.SIGKILL:
        return
    # A signal can come before the program has begun or after it has finished.
    if status not in (_ENDED[sent], -sent, 0):
        figures.violations.append(f"{figures.scenario}, {figures.kind}: status {status}")
    if "Traceback" in said:
        figures.violations.append(f"{figures.scenario}, {figures.kind}: {said[-300:]}")
    if unfinished:
        figures.violations.append(f"{figures.scenario}, {figures.kind}: {len(unfinished)} staging files left")
