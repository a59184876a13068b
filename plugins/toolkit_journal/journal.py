"""Events of a training, appended to ``events.jsonl``."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from toolkit.types import RunEvent

FILE_NAME = "events.jsonl"


def write_down(event: RunEvent) -> None:
    """Append one event to the journal in its run's folder.

    The file is locked from looking at its last byte to the write, so that several processes do not
    mix their lines. If a killed process has left an incomplete line, the event starts a new one.

    Raises:
        OSError: If the folder is gone or the disk is full.
    """
    record = {
        "time": datetime.now(UTC),
        "kind": event.kind,
        "run": event.run.name,
        "epoch": event.epoch,
        "epochs": event.epochs,
        "metrics": event.metrics,
        "details": event.details,
    }
    line = msgspec.json.encode(record, enc_hook=_as_json) + b"\n"
    with (event.run / FILE_NAME).open("ab+") as file:
        # Without a lock, on file systems that have none, lines of two processes may be mixed.
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line)


def read_journal(run: Path) -> list[dict[str, Any]]:
    """The events of a run, in the order in which they were written, without incomplete lines."""
    records = []
    for line in (run / FILE_NAME).read_bytes().splitlines():
        with suppress(ValueError):
            records.append(json.loads(line))
    return records


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    return value.name if isinstance(value, Path) else str(value)
