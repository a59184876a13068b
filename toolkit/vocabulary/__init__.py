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
    "Scores",
    "SilentProgress",
    "SplitName",
    "file_size",
    "percent",
    "sizes",
]

SplitName = Literal["fit", "validation", "test"]

Scores = Literal["probabilities", "sigmoid", "logits"]
"""What a network's outputs are: probabilities that sum to 1, one independent value from 0 to 1 for each
class, or numbers whose softmax gives probabilities."""
