"""Events of a training, appended to ``events.jsonl``."""

from __future__ import annotations

import fcntl
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
    """Append one event; if a killed process has left an incomplete line, it starts a new one."""
    record = {"time": datetime.now(UTC), **msgspec.to_builtins(event, enc_hook=_as_json)}
    line = msgspec.json.encode(record) + b"\n"
    with (event.run / FILE_NAME).open("ab+") as file:
        # Without a lock (some file systems have none) lines of two processes may be mixed.
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line)


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    return value.name if isinstance(value, Path) else str(value)
