"""The weight of each class in the loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.training.options import ClassWeighting

_POWERS: dict[ClassWeighting, float] = {"none": 0.0, "sqrt": 0.5, "balanced": 1.0}


def class_weights(labels: NDArray[np.int32], classes: int, weighting: ClassWeighting) -> NDArray[np.float32]:
    """One weight per class, (classes,) float32, such that the mean weight of the images is 1.

    Weights are proportional to 1 / frequency (``balanced``) or to its root (``sqrt``), and 0 for a class
    without images; with ``none`` all are 1.
    """
    if weighting == "none":
        return np.ones(classes, dtype=np.float32)
    counts = np.bincount(labels, minlength=classes).astype(np.float64)
    weights = np.zeros(classes)
    seen = counts > 0
    weights[seen] = counts[seen] ** -_POWERS[weighting]
    return np.asarray(weights * counts.sum() / (weights * counts).sum(), dtype=np.float32)
