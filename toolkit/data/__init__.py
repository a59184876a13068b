"""Data sets: images with labels and classes, their splits, their cache; pictures; conventions."""

from __future__ import annotations

from toolkit.data.convention import apply_convention
from toolkit.data.dataset import Dataset
from toolkit.data.library import DataLibrary
from toolkit.data.picture import prepare_picture
from toolkit.data.splits import validation_mask

__all__ = ["DataLibrary", "Dataset", "apply_convention", "prepare_picture", "validation_mask"]
