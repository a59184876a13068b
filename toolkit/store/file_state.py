"""The state of a file: differs once the file has changed, and is known without reading it."""

from __future__ import annotations

import os
from pathlib import Path

FileState = tuple[int, int, int, int]


def state_of(status: os.stat_result) -> FileState:
    """Device, inode, size and modification time."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def file_state(path: Path) -> FileState | None:
    """The state of a file, or of a link itself; None if there is none."""
    try:
        return state_of(os.lstat(path))
    except OSError:
        return None
