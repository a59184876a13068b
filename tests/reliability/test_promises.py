"""R1, R2 and R4 of docs/reliability.md; the figures there come from the same series, run in full."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_PLUGINS = (
    "text",
    "card",
    "model and card",
    "model and card, new",
    "model over one without a card",
    "checkpoint",
    "data cache",
)
FORMATS = ("h5", "keras", "onnx")


def disturb(*arguments: str) -> list[dict[str, Any]]:
    """Run a series in a process of its own: it forks, and no test's threads shall be in it."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.reliability", "--json", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 2 and "traced" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr[-4000:]
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def some(scenario: str, kind: str, *arguments: str) -> dict[str, Any]:
    (row,) = disturb("--quick", "--only", scenario, "--kind", kind, *(arguments or ("--no-control",)))
    return row


@pytest.mark.parametrize("scenario", ["text", "model and card"])
def test_r1_killed_at_every_step_the_old_or_the_new_is_there(scenario: str) -> None:
    row = some(scenario, "kill")

    assert row["violations"] == []
    assert row["trials"] > 10
    assert row["old"] > 0
    assert row["new"] > 0
    assert row["old"] + row["new"] == row["trials"]


@pytest.mark.parametrize(
    "scenario",
    ["card", "model and card, new", "model over one without a card", "checkpoint", "data cache", *FORMATS],
)
def test_r1_killed_at_some_steps_of_every_writer(scenario: str) -> None:
    row = some(scenario, "kill", "--stride", "9", "--no-control")

    assert row["violations"] == []
    assert row["trials"] >= 3


@pytest.mark.parametrize(
    ("scenario", "stride"),
    [("text", 1), ("model and card", 8), ("checkpoint", 2), ("data cache", 5), ("h5", 16), ("keras", 24)],
)
def test_r4_a_failing_call_costs_nothing_and_is_named(scenario: str, stride: int) -> None:
    row = some(scenario, "fault", "--stride", str(stride), "--no-control")

    assert row["violations"] == []
    assert row["trials"] >= 10


@pytest.mark.parametrize("scenario", ["text", "model and card", *FORMATS])
def test_r4_a_full_disk_costs_nothing_and_is_named(scenario: str) -> None:
    row = some(scenario, "full disk")

    assert row["violations"] == []
    assert row["old"] >= 10
    assert row["new"] >= 1


@pytest.mark.parametrize("kind", ["kill", "fault", "full disk"])
@pytest.mark.parametrize("scenario", ["text", "model and card", "data cache"])
def test_each_series_has_a_control_that_breaks_the_promise(scenario: str, kind: str) -> None:
    row = some(scenario, kind, "--stride", "1" if scenario == "text" else "8")

    assert row["violations"] == []
    assert int(row["control"].split(" violations in ")[0]) > 0


def test_r4_a_full_file_system_costs_nothing_and_is_named() -> None:
    rows = disturb("--quick", "--only", "model and card", "--kind", "small disk")
    if not rows:
        pytest.skip("mounting a file system needs root")

    (row,) = rows
    assert row["violations"] == []
    assert row["old"] >= 1
    assert row["new"] >= 1
    assert not row["control"].startswith("0 ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "typo"), "choose from 'text'"),
        (("--publish", "--quick"), "--publish needs the whole series"),
        (("--publish", "--only", "text"), "--publish needs the whole series"),
    ],
)
def test_a_part_of_the_series_is_never_published(arguments: tuple[str, ...], said: str) -> None:
    table = ROOT / "docs" / "reliability.md"
    before = table.read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.reliability", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert table.read_bytes() == before


@pytest.mark.parametrize("command", ["toolkit merge", "toolkit export"])
@pytest.mark.parametrize("kind", ["random kill", "random SIGTERM", "random Ctrl-C"])
@pytest.mark.long
def test_commands_that_are_ended_at_random_moments(command: str, kind: str) -> None:
    row = some(command, kind, "--stride", "1")

    assert row["violations"] == []
    assert row["trials"] == 3
    assert not row["control"].startswith("0 ")


@pytest.mark.parametrize("name", FORMATS)
def test_r2_a_damaged_file_is_refused_or_ends_in_a_named_error(name: str) -> None:
    rows = disturb("--quick", "--only", name, "--kind", "damage")

    assert len(rows) == 4
    for row in rows:
        assert not row["control"].startswith("0 ")
        assert row["violations"] == []
        assert row["trials"] == 20
        if "digest known" in row["kind"]:
            assert row["old"] == 20


@pytest.mark.long
@pytest.mark.parametrize("scenario", [*WITHOUT_PLUGINS, *FORMATS])
def test_the_whole_series(scenario: str) -> None:
    for row in disturb("--only", scenario):
        assert row["violations"] == [], f"{row['scenario']}, {row['kind']}"
