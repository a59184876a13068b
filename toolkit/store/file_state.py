"""What tells one state of a file from the next without reading it."""

from __future__ import annotations

import os
from pathlib import Path

FileState = tuple[int, int, int, int]


def state_of(status: os.stat_result) -> FileState:
    """Device, number, size and time of the last change of a file: differs once it is another."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def file_state(path: Path) -> FileState | None:
    """The state of the file at a path, or of the link itself; None if it cannot be read."""
    try:
        return state_of(os.lstat(path))
    except OSError:
        return None
