"""The weight of each class in the loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.training.options import ClassWeighting

_POWERS: dict[ClassWeighting, float] = {"sqrt": 0.5, "balanced": 1.0}


def class_weights(labels: NDArray[np.int32], classes: int, weighting: ClassWeighting) -> NDArray[np.float32]:
    """One weight per class, (classes,) float32, such that the mean weight of the images is 1.

    Weights are proportional to 1 / frequency (``balanced``) or to its root (``sqrt``), and 0 for a class
    without images; with ``none`` all are 1.
    """
    if weighting == "none":
        return np.ones(classes, dtype=np.float32)
    counts = np.bincount(labels, minlength=classes)
    weights = np.where(counts > 0, np.maximum(counts, 1.0) ** -_POWERS[weighting], 0.0)
    return np.asarray(weights * counts.sum() / (weights * counts).sum(), dtype=np.float32)
