"""The verbs ``runs list``, ``show`` and ``rm``, on runs that were written without training."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.errors import BusyError, MissingInputError, UsageError
from toolkit.operations.runs import find_run, list_runs, remove_runs, show_run
from toolkit.operations.toolkit import Toolkit
from toolkit.requests.runs import ListRuns, RemoveRuns, ShowRun
from toolkit.store import exclusive
from toolkit.testing import catalog_of
from toolkit.training.folder import RunFolder, RunRecord
from toolkit.training.history import EpochRecord, history_csv
from toolkit.vocabulary import SilentProgress

QUIET = SilentProgress()


@pytest.fixture
def toolkit(tmp_path: Path) -> Toolkit:
    return Toolkit(tmp_path, catalog_of)


def save_run(folder: Path, *accuracies: float, **changes: object) -> Path:
    given: dict[str, object] = {
        "architecture": "tiny",
        "architecture_options": {},
        "dataset": "quarters",
        "fit_digest": "00",
        "fit_images": 9,
        "validation_digest": "01",
        "validation_images": 2,
        "classes": ("a", "b"),
        "options": {"epochs": 4},
        "seed": 1,
        "created": "2026-01-02T03:04:05+00:00",
    }
    files = RunFolder(folder)
    files.write_record(RunRecord(**(given | changes)))  # type: ignore[arg-type]
    records = [
        EpochRecord(epoch, 1.0, 0.5, 1.0, accuracy, 0.001, 100.0, 1.0)
        for epoch, accuracy in enumerate(accuracies, 1)
    ]
    if records:
        files.history.write_text(history_csv(records))
    return folder


@pytest.mark.parametrize("epochs", ["abc", [1], None, 2.5])
def test_a_strange_number_of_epochs_costs_no_list(toolkit: Toolkit, tmp_path: Path, epochs: object) -> None:
    save_run(tmp_path / "runs" / "1", 0.5, options={"epochs": epochs})
    assert [run.planned for run in list_runs(toolkit, ListRuns(), QUIET)] == [0]


def test_runs_are_listed_with_their_state(toolkit: Toolkit, tmp_path: Path) -> None:
    assert list_runs(toolkit, ListRuns(), QUIET) == ()
    runs = tmp_path / "runs"
    save_run(runs / "1-done", 0.5, 0.75, 0.7, 0.6, state="finished")
    save_run(runs / "2-killed", 0.25)
    save_run(runs / "3-failed", state="failed", error="the disk is full")
    busy = save_run(runs / "4-busy", architecture="", start_from="a.h5")
    (runs / "5-broken").mkdir()
    (runs / "5-broken" / "run.json").write_text("{")
    (runs / "not-a-run").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (runs / "a-link").symlink_to(save_run(tmp_path / "elsewhere" / "run"))
    with exclusive(busy):
        found = list_runs(toolkit, ListRuns(), QUIET)
    assert [(run.name, run.state) for run in found] == [
        ("1-done", "finished"),
        ("2-killed", "interrupted"),
        ("3-failed", "failed"),
        ("4-busy", "running"),
        ("5-broken", "unreadable"),
    ]
    done = found[0]
    assert (done.epochs, done.planned, done.validation_accuracy) == (4, 4, 0.75)
    assert (done.dataset, done.architecture, done.created[:10]) == ("quarters", "tiny", "2026-01-02")
    assert found[2].error == "the disk is full"
    assert found[3].start_from == "a.h5"
    assert "run.json" in found[4].error


def test_a_run_is_shown_with_its_epochs(toolkit: Toolkit, tmp_path: Path) -> None:
    save_run(tmp_path / "runs" / "one", 0.5, 0.75)
    for name in ("one", "latest", str(tmp_path / "runs" / "one")):
        details = show_run(toolkit, ShowRun(name), QUIET)
        assert [epoch.val_accuracy for epoch in details.history] == [0.5, 0.75]
        assert details.record.seed == 1
        assert details.run.state == "interrupted"


def test_the_latest_run_to_resume_is_one_that_was_interrupted(toolkit: Toolkit, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="there is no run"):
        find_run(toolkit, "latest")
    runs = tmp_path / "runs"
    killed = save_run(runs / "1-killed")
    done = save_run(runs / "2-done", state="finished")
    assert find_run(toolkit, "latest") == done
    assert find_run(toolkit, "latest", unfinished=True) == killed


def test_a_run_that_is_not_there_is_named_with_the_nearest(toolkit: Toolkit, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="there is no run yet"):
        find_run(toolkit, "yesterday")
    save_run(tmp_path / "runs" / "monday-0")
    with pytest.raises(MissingInputError, match="did you mean monday-0"):
        find_run(toolkit, "munday-0")
    with pytest.raises(MissingInputError, match="an empty name: no such run"):
        find_run(toolkit, "")


def test_a_run_is_removed_with_everything_in_it(toolkit: Toolkit, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("kept")
    first, second = (save_run(tmp_path / "runs" / name) for name in ("one", "two"))
    (first / "link").symlink_to(outside)
    assert remove_runs(toolkit, RemoveRuns(("one",)), QUIET) == ("one",)
    assert not first.exists()
    assert second.exists()
    assert outside.read_text() == "kept"


def test_a_run_in_progress_is_not_removed(toolkit: Toolkit, tmp_path: Path) -> None:
    busy, idle = (save_run(tmp_path / "runs" / name) for name in ("busy", "idle"))
    with exclusive(busy), pytest.raises(BusyError, match="the run is in progress"):
        remove_runs(toolkit, RemoveRuns(("idle", "busy")), QUIET)
    assert busy.exists()
    assert idle.exists()


def test_nothing_outside_of_runs_is_removed(toolkit: Toolkit, tmp_path: Path) -> None:
    elsewhere = save_run(tmp_path / "elsewhere" / "run")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "link").symlink_to(elsewhere)
    for name in ("link", str(elsewhere), "../elsewhere/run"):
        with pytest.raises(UsageError, match="not a folder in"):
            remove_runs(toolkit, RemoveRuns((name,)), QUIET)
    assert elsewhere.exists()
