"""Terms that every layer uses: conventions, splits, progress, and how figures are written."""

from __future__ import annotations

from typing import Literal

from toolkit.vocabulary.convention import CHARACTER_SHAPES, Convention, Ink, Orientation, Scale
from toolkit.vocabulary.figures import file_size, percent, sizes
from toolkit.vocabulary.progress import Progress, SilentProgress

__all__ = [
    "CHARACTER_SHAPES",
    "Convention",
    "Ink",
    "Orientation",
    "Progress",
    "Scale",
    "SilentProgress",
    "SplitName",
    "file_size",
    "percent",
    "sizes",
]

SplitName = Literal["fit", "validation", "test"]
