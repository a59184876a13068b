"""R1 and R4: kills at every step, faults at every call, full disks; and what a reader finds after them."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.reliability.scenarios import Scenario
from benchmarks.reliability.tracing import CALLS, CHANGES, DONE, REFUSED, Outcome, run_traced
from toolkit.store.staging import clean_staging

FAULTS = (errno.EIO, errno.ENOSPC, errno.EACCES, errno.EMFILE)


@dataclass(slots=True)
class Figures:
    """The results of one series of disturbances.

    Attributes:
        scenario: What was being written.
        kind: Of the disturbance.
        trials: How often the writer was disturbed; a disturbance that came too late is not a trial.
        old: How often the old state was found.
        new: How often the new state was found.
        violations: Everything else, in words.
        control: Of the series' negative control: ``8 violations in 15 trials``; empty if it was left out.
    """

    scenario: str
    kind: str
    trials: int = 0
    old: int = 0
    new: int = 0
    violations: list[str] = field(default_factory=list)
    control: str = ""


def kill_at_every_step(scenario: Scenario, stride: int = 1) -> Figures:
    """SIGKILL before each system call that changes something, and once after the last one.

    Args:
        scenario: What is written.
        stride: 2 for every second step, and so on.
    """
    figures = Figures(scenario.name, "kill")
    steps = _try(scenario, lambda action: run_traced(action, CHANGES))[0].calls
    for step in (*range(0, steps, stride), steps):
        outcome, state = _try(scenario, lambda action, at=step: run_traced(action, CHANGES, kill_at=at))
        _count(figures, f"killed before call {step} ({outcome.stopped_at})", state)
    return figures


def fail_every_call(scenario: Scenario, errors: Sequence[int] = FAULTS, stride: int = 1) -> Figures:
    """Each system call that touches files fails once with each error.

    Args:
        scenario: What is written.
        errors: Their numbers.
        stride: 2 for every second call, and so on.
    """
    figures = Figures(scenario.name, "fault")
    calls = _try(scenario, lambda action: run_traced(action, CALLS))[0].calls
    for number in errors:
        for call in range(0, calls, stride):
            outcome, state = _try(
                scenario,
                lambda action, at=call, error=number: run_traced(action, CALLS, fail_at=at, fail_with=error),
            )
            where = f"{errno.errorcode[number]} at call {call} ({outcome.stopped_at})"
            _count(figures, where, state)
            _judge(figures, where, outcome, state)
    return figures


def fill_the_disk(scenario: Scenario, steps: int) -> Figures:
    """A limit on file sizes from 0 to 100 % of the largest file that is written, and beyond."""
    figures = Figures(scenario.name, "full disk")
    size = _largest_file(scenario)
    for step in range(steps + 1):
        limit = size * step // steps

        def limited(action: Callable[[], None], limit: int = limit) -> Outcome:
            def under_limit() -> None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
                action()

            return run_traced(under_limit, CHANGES)

        outcome, state = _try(scenario, limited)
        where = f"files limited to {limit:,} of {size:,} bytes"
        _count(figures, where, state)
        _judge(figures, where, outcome, state)
    return figures


def fill_a_small_disk(scenario: Scenario, steps: int) -> Figures | None:
    """A file system of its own, with from none to all of the pages that the writer needs left free.

    Returns:
        None if this user cannot mount one.
    """
    figures = Figures(scenario.name, "small disk")
    page = resource.getpagesize()
    needed = 4 * -(-_largest_file(scenario) // page) + 16
    for step in range(steps + 1):
        folder = Path(tempfile.mkdtemp(prefix="toolkit-small-disk-"))
        try:
            if not _mount(folder, "64m"):
                return None
            scenario.make_old(folder)
            status = os.statvfs(folder)
            used = (status.f_blocks - status.f_bfree) * status.f_frsize
            free = needed * step // steps * page
            _mount(folder, f"{used + free}", "remount")
            outcome = run_traced(lambda at=folder: scenario.write_new(at), CHANGES)  # type: ignore[misc]
            where = f"{free:,} bytes free"
            state = _state(scenario, folder)
            _count(figures, where, state)
            _judge(figures, where, outcome, state)
        finally:
            subprocess.run(["umount", str(folder)], check=False, stderr=subprocess.DEVNULL)
            folder.rmdir()
    return figures


def _mount(folder: Path, size: str, *options: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", ",".join((*options, f"size={size}")), "tmpfs", str(folder)]
    try:
        return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0
    except FileNotFoundError:
        return False


def scratch_folder() -> Path:
    """An empty folder, in memory where there is such a file system: thousands of flushes are fast there."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="toolkit-reliability-", dir=place))


def _try(scenario: Scenario, disturb: Callable[[Callable[[], None]], Outcome]) -> tuple[Outcome, str]:
    """Make the old state, overwrite it under a disturbance, and see what a reader gets."""
    folder = scratch_folder()
    try:
        scenario.make_old(folder)
        outcome = disturb(lambda: scenario.write_new(folder))
        state = _state(scenario, folder)
        clean_staging(folder)
        left = [path.name for path in folder.rglob("*") if ".staging" in path.name]
        if left and state in ("old", "new"):
            state = f"{left} left after cleaning"
        return outcome, state
    finally:
        shutil.rmtree(folder)


def _state(scenario: Scenario, folder: Path) -> str:
    try:
        return scenario.state(folder)
    except Exception as error:  # noqa: BLE001 - whatever a reader meets is the finding
        return f"{type(error).__name__}: {error}"


def _count(figures: Figures, where: str, state: str) -> None:
    figures.trials += 1
    if state == "old":
        figures.old += 1
    elif state == "new":
        figures.new += 1
    else:
        figures.violations.append(f"{where}: {state}")


def _judge(figures: Figures, where: str, outcome: Outcome, state: str) -> None:
    """What the writer said must fit what is there."""
    if outcome.status == DONE and state == "old":
        figures.violations.append(f"{where}: said it was done, and the old state is there")
    elif outcome.status == REFUSED and state == "new" and "is written" not in outcome.errors:
        figures.violations.append(f"{where}: said {outcome.errors!r}, and the new state is there")
    elif outcome.status not in (DONE, REFUSED):
        figures.violations.append(f"{where}: no named error but {outcome.errors[-600:]}")


def _largest_file(scenario: Scenario) -> int:
    folder = scratch_folder()
    try:
        scenario.make_old(folder)
        scenario.write_new(folder)
        return max(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    finally:
        shutil.rmtree(folder)
