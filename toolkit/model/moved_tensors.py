"""Tensors whose elements are in another order, moved when they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.graph import Rearrangement
from toolkit.tensors import Tensors

Places = NDArray[np.intp]
"""Which element of the original each element is."""


@dataclass(frozen=True)
class Swap:
    """Swaps the last two axes."""

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """From the original initializer."""
        return np.swapaxes(array, -1, -2)


@dataclass(frozen=True, eq=False)
class TakeAlong:
    """Puts the entries of one axis into another order."""

    order: Places
    axis: int

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """From the original initializer."""
        return np.take(array, self.order, axis=self.axis)


@dataclass(frozen=True, eq=False)
class TakeAll:
    """Puts all elements into another order; ``order`` has the initializer's shape."""

    order: Places

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """From the original initializer."""
        return np.take(array.reshape(-1), self.order)


Change = Swap | TakeAlong | TakeAll


class MovedTensors(Tensors):
    """Tensors of which some have their elements in another order, moved when they are read."""

    def __init__(self, below: Tensors, changes: Mapping[str, tuple[Rearrangement, Change]]) -> None:
        self._below = below
        self._changes = dict(changes)
        self.specs = below.specs

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor; only those that change are copied."""
        array = self._below.read(name)
        if name not in self._changes:
            return array
        rearrangement, change = self._changes[name]
        moved = rearrangement.inverse(change.apply(rearrangement.apply(array)))
        return np.ascontiguousarray(moved).reshape(array.shape)


def equal_changes(one: Change, other: Change) -> bool:
    """Whether two changes do the same."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Swap) or isinstance(other, Swap):
        return True
    return np.array_equal(one.order, other.order) and getattr(one, "axis", 0) == getattr(other, "axis", 0)
