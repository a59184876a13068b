"""The journal: one line of JSON for each event."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from toolkit.declarations import RunEvent
from toolkit.host.catalog import Catalog
from toolkit.host.kinds import RUN_LISTENERS
from toolkit_journal.journal import FILE_NAME, write_down


def test_the_journal_is_a_listener_of_trainings() -> None:
    assert Catalog.load({}).get(RUN_LISTENERS, "journal").summary.startswith("Appends every event")


def test_every_event_is_a_line_with_its_time(tmp_path: Path) -> None:
    hear = Catalog.load({}).get(RUN_LISTENERS, "journal").hear
    hear(RunEvent("started", tmp_path, 0, 2, details={"seed": 1, "folder": tmp_path, "classes": ("0", "1")}))
    hear(RunEvent("epoch", tmp_path, 1, 2, {"loss": float("nan"), "accuracy": float(np.float32(0.5))}))
    hear(RunEvent("failed", tmp_path, 1, 2, details={"error": ValueError("no")}))
    lines = (tmp_path / FILE_NAME).read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["kind"] for record in records] == ["started", "epoch", "failed"]
    assert records[0]["details"] == {"seed": 1, "folder": tmp_path.name, "classes": ["0", "1"]}
    assert records[1]["metrics"] == {"loss": None, "accuracy": 0.5}
    assert records[2]["details"] == {"error": "no"}
    told = datetime.fromisoformat(records[0]["time"])
    assert told.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - told) < timedelta(minutes=1)


def test_an_incomplete_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    write_down(RunEvent("started", tmp_path))
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(b'{"time": "2026-')
    write_down(RunEvent("finished", tmp_path))
    first, incomplete, last = (tmp_path / FILE_NAME).read_text().splitlines()
    assert (json.loads(first)["kind"], json.loads(last)["kind"]) == ("started", "finished")
    assert incomplete == '{"time": "2026-'


def test_two_at_once_do_not_mix_their_lines(tmp_path: Path) -> None:
    def write(number: int) -> None:
        for epoch in range(100):
            write_down(RunEvent("epoch", tmp_path, epoch, 100, details={"text": str(number) * 500}))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = [json.loads(line) for line in (tmp_path / FILE_NAME).read_text().splitlines()]
    assert len(records) == 400


def test_a_run_whose_folder_is_gone_is_an_error_for_the_host(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_down(RunEvent("epoch", tmp_path / "gone"))
