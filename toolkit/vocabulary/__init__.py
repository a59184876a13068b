"""Terms that every layer uses: how a model expects its pixels, the splits of a data set, progress."""

from __future__ import annotations

from toolkit.vocabulary.convention import CHARACTER_SHAPES, Convention, Ink, Orientation, Scale
from toolkit.vocabulary.progress import Progress, SilentProgress
from toolkit.vocabulary.splits import SplitName

__all__ = [
    "CHARACTER_SHAPES",
    "Convention",
    "Ink",
    "Orientation",
    "Progress",
    "Scale",
    "SilentProgress",
    "SplitName",
]
