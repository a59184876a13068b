"""The trimmed mean: robust against one ingredient that is far off."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.tensors import weighted_mean
from toolkit.types import MergeRequest, MergeResult, TensorGroup
from toolkit_good.options import TrimmedMeanOptions


def merge(request: MergeRequest) -> MergeResult:
    """Plan the mean of what is left when the extremes of every number are left out."""
    options: TrimmedMeanOptions = request.options
    number = len(request.ingredients)
    trim = min(options.trim, (number - 1) // 2)

    def combine(group: TensorGroup) -> NDArray[np.floating[Any]]:
        ordered = np.sort(np.stack(group.arrays), axis=0)
        kept = tuple(ordered[trim : number - trim])
        return weighted_mean(kept, [1 / len(kept)] * len(kept))

    return MergeResult(
        combine,
        weights=(1 / number,) * number,
        notes=(f"of {number} values of every number, {2 * trim} extremes are left out",),
    )
