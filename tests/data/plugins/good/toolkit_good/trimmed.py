"""The trimmed mean: robust against one ingredient that is far off."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.tensors import TensorSpec
from toolkit.types import MergeRequest, MergeResult, tensorwise


def merge(request: MergeRequest) -> MergeResult:
    """Leave out the extremes of every number and average the rest."""
    number = len(request.ingredients)
    trim = min(request.options.trim, (number - 1) // 2)

    def trimmed(arrays: tuple[NDArray[Any], ...], _: TensorSpec) -> NDArray[Any]:
        ordered = np.sort(np.stack(arrays), axis=0)
        return ordered[trim : number - trim].mean(axis=0, dtype=np.float64)

    model = tensorwise(request.ingredients, trimmed, elementwise=True)
    return MergeResult(model, notes=(f"of {number} values of every number, {2 * trim} are left out",))
