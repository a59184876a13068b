"""Rows as in EMNIST's CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit_emnist.mapping import mapping_of

BYCLASS = mapping_of("byclass", None)


def some_cells(rows: int, seed: int = 0) -> NDArray[np.uint8]:
    """Rows as in a file: mostly zeros, with strokes of one, two and three digits."""
    random = np.random.default_rng(seed)
    cells = random.integers(0, 256, (rows, 785)).astype(np.uint8)
    cells[random.random((rows, 785)) < 0.6] = 0
    cells[:, 0] = random.integers(0, 62, rows)
    return cells


def as_csv(cells: Any, end: str = "\n") -> bytes:
    return "".join(",".join(map(str, row)) + end for row in np.asarray(cells).tolist()).encode()


def written(folder: Path, content: bytes, name: str = "emnist-byclass-train.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def replaced(content: bytes, row: int, column: int, field: bytes) -> bytes:
    lines = content.split(b"\n")
    fields = lines[row - 1].split(b",")
    fields[column - 1] = field
    lines[row - 1] = b",".join(fields)
    return b"\n".join(lines)
