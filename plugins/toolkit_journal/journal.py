"""Appending events to ``events.jsonl``."""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from toolkit.types import RunEvent

FILE_NAME = "events.jsonl"


def write_down(event: RunEvent) -> None:
    """Append one event to the journal in its run's folder.

    A writer holds the kernel's lock on the file from its look at the last byte to its write, so
    two processes never mix their lines, and a kill leaves at most one line without its end: the
    next event begins on a line of its own.

    Args:
        event: As the training tells it.

    Raises:
        OSError: If the folder is gone or the disk is full.
    """
    line = json.dumps(_as_record(event), allow_nan=False).encode() + b"\n"
    descriptor = os.open(event.run / FILE_NAME, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        # Without it the look may meet another's line half-way: a file grows page by page.
        # A file system that knows no locks costs a line, not the training.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _ends_within_a_line(descriptor):
            line = b"\n" + line
        _write_whole(descriptor, line)
    finally:
        os.close(descriptor)


def read_journal(run: Path) -> list[dict[str, Any]]:
    """The events of a run, in the order in which they were written.

    A line that a kill has cut short is left out.

    Args:
        run: The run's folder.
    """
    records = []
    for line in (run / FILE_NAME).read_bytes().splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def _as_record(event: RunEvent) -> dict[str, Any]:
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "kind": event.kind,
        "run": event.run.name,
        "epoch": event.epoch,
        "epochs": event.epochs,
        "metrics": _as_json(event.metrics),
        "details": _as_json(event.details),
    }


def _as_json(value: Any) -> Any:
    """A listener is told what a training knows; what has no form in JSON is written as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_as_json(item) for item in value]
    if hasattr(value, "tolist"):
        return _as_json(value.tolist())
    return value.name if isinstance(value, Path) else str(value)


def _ends_within_a_line(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


def _write_whole(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
