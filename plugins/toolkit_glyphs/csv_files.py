"""The drawn data set written as EMNIST's own files are: CSV, label first, glyphs transposed, no header."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from toolkit.data import Dataset
from toolkit.errors import UsageError
from toolkit.store import publish, publish_text
from toolkit.types import MakeRequest
from toolkit_glyphs.faces import CHARACTERS
from toolkit_glyphs.options import GlyphOptions
from toolkit_glyphs.parts import Part, draw_part

FORMATS = ("csv",)
ROWS_AT_ONCE = 2048

# Each value as decimal digits and a separator, left-aligned in four bytes.
_DIGITS = np.array([list(f"{value},".encode().ljust(4, b"\0")) for value in range(256)], np.uint8)


def make_files(request: MakeRequest) -> Sequence[Path]:
    """Write ``emnist-glyphs-train.csv``, ``-test.csv`` and ``-mapping.txt``, each whole or not at all.

    Raises:
        UsageError: A format that is not written.
        StorageError: The disk refuses.
    """
    if request.format not in FORMATS:
        raise UsageError(
            f"glyphs are not written as {request.format!r}", hint=f"choose one of: {', '.join(FORMATS)}"
        )
    options = request.options if isinstance(request.options, GlyphOptions) else GlyphOptions()
    total = (options.train_per_class + options.test_per_class) * len(CHARACTERS)
    request.progress.begin("Draw glyphs", total, "images")
    written: list[Path] = []
    done = 0
    parts: tuple[Part, ...] = ("train", "test")
    for part in parts:
        dataset = draw_part(part, options, seed=request.seed)
        path = request.folder / f"emnist-glyphs-{part}.csv"
        with publish(path) as staging, staging.open("xb") as file:
            write_csv(dataset, file)
        written.append(path)
        done += len(dataset)
        request.progress.advance(done, part)
    request.progress.end()
    mapping = request.folder / "emnist-glyphs-mapping.txt"
    publish_text(
        mapping, "".join(f"{label} {ord(character)}\n" for label, character in enumerate(CHARACTERS))
    )
    return (*written, mapping)


def write_csv(dataset: Dataset, file: BinaryIO) -> None:
    """Write 785 columns a row: the label, then the pixels column by column of the upright image."""
    for start in range(0, len(dataset), ROWS_AT_ONCE):
        images = dataset.images[start : start + ROWS_AT_ONCE]
        labels = dataset.labels[start : start + ROWS_AT_ONCE].astype(np.uint8)
        rows = np.concatenate([labels[:, None], images.transpose(0, 2, 1).reshape(len(images), -1)], axis=1)
        text = _DIGITS[rows]
        last = text[:, -1]
        last[last == ord(",")] = ord("\n")
        flat = text.reshape(-1)
        file.write(flat[flat != 0].tobytes())
