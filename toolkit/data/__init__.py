"""Data sets: images with labels and classes, their splits, and what a network gets to see of them."""

from __future__ import annotations

from toolkit.data.convention import apply_convention
from toolkit.data.dataset import Dataset
from toolkit.data.splits import validation_mask

__all__ = ["Dataset", "apply_convention", "validation_mask"]
