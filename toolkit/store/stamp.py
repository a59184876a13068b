"""What tells one state of a file from the next without reading it."""

from __future__ import annotations

import os
from pathlib import Path

Stamp = tuple[int, int, int, int]


def stamp_of(status: os.stat_result) -> Stamp:
    """Device, number, size and time of the last change of a file: differs once it is another."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def stamp(path: Path) -> Stamp | None:
    """The stamp of what stands at a path, a link's own; None where nothing can be looked at."""
    try:
        return stamp_of(os.lstat(path))
    except OSError:
        return None
