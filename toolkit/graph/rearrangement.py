"""How a stored tensor becomes an initializer of the graph, and back."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.records import dataclass


@dataclass(frozen=True)
class Permute:
    """Permutes the first axes; later axes stay."""

    axes: tuple[int, ...]

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """From the stored order."""
        return array.transpose(*self.axes, *range(len(self.axes), array.ndim))

    def inverse(self, array: NDArray[Any]) -> NDArray[Any]:
        """Back to the stored order of axes."""
        back = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        return array.transpose(*back, *range(len(self.axes), array.ndim))


@dataclass(frozen=True)
class Reshape:
    """Gives the first axes, of the lengths ``before``, the lengths ``after``; later axes stay."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """From the lengths ``before``."""
        return array.reshape(*self.after, *array.shape[len(self.before) :])

    def inverse(self, array: NDArray[Any]) -> NDArray[Any]:
        """Back to the lengths ``before``."""
        return array.reshape(*self.before, *array.shape[len(self.after) :])


@dataclass(frozen=True)
class Take:
    """Reorders the first axis: element ``i`` of the result is element ``order[i]``."""

    order: tuple[int, ...]

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """From the stored order of elements."""
        return array[np.asarray(self.order, np.intp)]

    def inverse(self, array: NDArray[Any]) -> NDArray[Any]:
        """Back to the stored order of elements."""
        return array[np.argsort(self.order, kind="stable")]


@dataclass(frozen=True)
class Rearrangement:
    """Moves the elements of a tensor, in steps from the file's form to the initializer's."""

    steps: tuple[Permute | Reshape | Take, ...] = ()

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """From the stored tensor to the initializer; a view where NumPy allows one."""
        for step in self.steps:
            array = step.apply(array)
        return array

    def inverse(self, array: NDArray[Any]) -> NDArray[Any]:
        """From the initializer to the stored tensor; a view where NumPy allows one."""
        for step in reversed(self.steps):
            array = step.inverse(array)
        return array

    def shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        """The initializer's shape, from that of the stored tensor."""
        return self.apply(np.broadcast_to(np.int8(0), stored)).shape

    def resized(self, axis: int, size: int) -> tuple[int, Rearrangement]:
        """For a tensor that gets another size along one axis of its initializer.

        Returns the axis of the stored tensor that is the same one, and the rearrangement of the new tensor.

        Raises:
            ValueError: If no axis of the stored tensor is the same one.
        """
        steps: list[Permute | Reshape | Take] = []
        for step in reversed(self.steps):
            if isinstance(step, Reshape):
                step, axis = _resized_reshape(step, axis, size)
            elif isinstance(step, Permute):
                axis = step.axes[axis] if axis < len(step.axes) else axis
            elif axis == 0:
                raise ValueError("its elements are stored in another order")
            steps.insert(0, step)
        return axis, Rearrangement(tuple(steps))


def _resized_reshape(step: Reshape, axis: int, size: int) -> tuple[Reshape, int]:
    """A step whose result has another size along one axis, and the same axis before it."""
    if axis >= len(step.after):
        return step, axis - len(step.after) + len(step.before)
    outer, length = math.prod(step.after[:axis]), step.after[axis]
    for place, old in enumerate(step.before):
        if old == length and math.prod(step.before[:place]) == outer:
            before = (*step.before[:place], size, *step.before[place + 1 :])
            return replace(
                step, before=before, after=(*step.after[:axis], size, *step.after[axis + 1 :])
            ), place
    raise ValueError("its axis is a part of a stored one")


AS_STORED = Rearrangement()
"""The initializer is the tensor as the file has it."""
