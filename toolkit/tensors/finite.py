"""Tensors that contain no NaN and no infinity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UnreadableInputError
from toolkit.tensors.tensors import Tensors, TensorSpec


class FiniteTensors(Tensors):
    """Tensors that are checked for NaN and infinities when they are read.

    Args:
        below: The tensors to check.
        owner: Name of the file, for the error message.
    """

    def __init__(self, below: Tensors, owner: str) -> None:
        self._below = below
        self._owner = owner

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Every tensor's specification by name, in layer order."""
        return self._below.specs

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor.

        Raises:
            UnreadableInputError: If it contains NaN or infinities.
        """
        array = self._below.read(name)
        if not is_finite(array):
            bad = int(array.size - np.count_nonzero(np.isfinite(array)))
            raise UnreadableInputError(
                f"{self._owner}: tensor {name} has {bad:,} values that are NaN or infinite",
                hint="its training diverged; leave it out",
            )
        return array


def is_finite(array: NDArray[Any]) -> bool:
    """Whether no element is NaN or infinite; needs no memory beside the array."""
    if array.size == 0 or not np.issubdtype(array.dtype, np.floating):
        return True
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(array.min()) and np.isfinite(array.max()))
