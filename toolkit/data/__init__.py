"""Data sets: images with labels and classes, their splits, and a model's view of them."""

from __future__ import annotations

from toolkit.data.convention import apply_convention
from toolkit.data.dataset import Dataset
from toolkit.data.splits import pixel_hash, validation_mask

__all__ = ["Dataset", "apply_convention", "pixel_hash", "validation_mask"]
