"""Data sets: images with labels and classes, their splits, their cache."""

from __future__ import annotations

from toolkit.data.dataset import Dataset

__all__ = ["Dataset"]
