"""The train and the test part: drawn, and written as EMNIST's own CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from toolkit.data import Dataset
from toolkit.errors import UsageError
from toolkit.store import publish, publish_text
from toolkit.types import LoadRequest, MakeRequest
from toolkit_glyphs import GlyphOptions
from toolkit_glyphs.drawing import draw_glyphs
from toolkit_glyphs.faces import CHARACTERS
from toolkit_glyphs.fields import glyph_fields

Part = Literal["train", "test"]

_PARTS: tuple[Part, ...] = ("train", "test")
_ROWS_AT_ONCE = 2_048

# Each value as decimal digits and a comma, in four bytes; 50 times as fast as numpy.savetxt.
_DIGITS = np.array([list(f"{value},".encode().ljust(4, b"\0")) for value in range(256)], np.uint8)


def load_part(request: LoadRequest) -> Dataset:
    """Draw the requested part; about two seconds with the default options."""
    return draw_part(request.part, request.options)


def draw_part(part: Part, options: GlyphOptions) -> Dataset:
    """Draw a part. Train and test have different random numbers, and test has additional distortions."""
    testing = part == "test"
    per_class = options.test_per_class if testing else options.train_per_class
    images, labels = draw_glyphs(
        glyph_fields(), per_class, seed=options.seed, stream=int(testing), held_out=testing
    )
    return Dataset("glyphs", CHARACTERS, images, labels)


def make_files(request: MakeRequest) -> Sequence[Path]:
    """Write ``emnist-glyphs-train.csv``, ``-test.csv`` and ``-mapping.txt``."""
    if request.format != "csv":
        raise UsageError(f"glyphs cannot be written as {request.format!r}", hint="the only format is csv")
    options: GlyphOptions = replace(request.options, seed=request.seed)
    total = (options.train_per_class + options.test_per_class) * len(CHARACTERS)
    request.progress.begin("Draw glyphs", total, "images")
    files: list[Path] = []
    done = 0
    for part in _PARTS:
        dataset = draw_part(part, options)
        files.append(request.folder / f"emnist-glyphs-{part}.csv")
        with publish(files[-1]) as staging, staging.open("xb") as file:
            _write_csv(dataset, file)
        done += len(dataset)
        request.progress.advance(done, part)
    request.progress.end()
    mapping = "".join(f"{label} {ord(character)}\n" for label, character in enumerate(CHARACTERS))
    files.append(request.folder / "emnist-glyphs-mapping.txt")
    publish_text(files[-1], mapping)
    return files


def _write_csv(dataset: Dataset, file: BinaryIO) -> None:
    """Write 785 columns a row: the label, then the pixels column by column of the upright image."""
    for start in range(0, len(dataset), _ROWS_AT_ONCE):
        images = dataset.images[start : start + _ROWS_AT_ONCE]
        labels = dataset.labels[start : start + _ROWS_AT_ONCE].astype(np.uint8)
        text = _DIGITS[np.column_stack([labels, images.transpose(0, 2, 1).reshape(len(images), -1)])]
        last = text[:, -1]
        last[last == ord(",")] = ord("\n")
        file.write(text[text != 0].tobytes())
