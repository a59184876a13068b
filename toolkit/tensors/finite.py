"""Tensors whose numbers are checked when they are read: a training that diverged leaves NaN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UnreadableInputError
from toolkit.tensors.tensors import Tensors


class FiniteTensors(Tensors):
    """Tensors that are checked the first time they are read; ``where`` names the file in the error.

    Reading raises UnreadableInputError if a value is NaN or infinite.
    """

    def __init__(self, below: Tensors, where: str) -> None:
        self.specs = below.specs
        self._below = below
        self._where = where
        self._checked: set[str] = set()

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor, and check it."""
        array = self._below.read(name)
        if name not in self._checked:
            if not is_finite(array):
                raise UnreadableInputError(
                    f"{self._where}: tensor {name} has {_count(array):,} values that are NaN or infinite",
                    hint="its training diverged; use another model",
                )
            self._checked.add(name)
        return array


def is_finite(array: NDArray[Any]) -> bool:
    """Whether no element is NaN or infinite; needs no memory beside the array."""
    if array.size == 0 or not np.issubdtype(array.dtype, np.floating):
        return True
    with np.errstate(invalid="ignore", over="ignore"):
        # A finite sum has finite terms; the sum of finite terms may be infinite.
        return bool(np.isfinite(array.sum()) or (np.isfinite(array.min()) and np.isfinite(array.max())))


def not_finite(tensors: Tensors) -> Mapping[str, int]:
    """How many values are NaN or infinite, by the names of the tensors that have any; reads all."""
    found: dict[str, int] = {}
    for name in tensors:
        array = tensors.read(name)
        if not is_finite(array):
            found[name] = _count(array)
    return found


def _count(array: NDArray[Any]) -> int:
    return int(array.size - np.count_nonzero(np.isfinite(array)))
