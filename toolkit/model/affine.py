"""Numbers that a factor and a shift for each element of a value are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Affine:
    """What a value of the original is: ``scale`` times the new network's value, plus ``shift``.

    Both broadcast over the value, batch included.
    """

    scale: Numbers
    shift: Numbers

    @property
    def is_identity(self) -> bool:
        """Whether the two values are the same."""
        return bool((self.scale == 1).all() and (self.shift == 0).all())

    @property
    def has_shift(self) -> bool:
        """Whether the shift is not zero everywhere."""
        return bool((self.shift != 0).any())

    @property
    def both(self) -> tuple[Numbers, Numbers]:
        """Scale and shift."""
        return self.scale, self.shift


def filled(array: Numbers, rank: int) -> Numbers:
    """With axes of length 1 in front, up to a number of axes."""
    return array.reshape((*(1,) * (rank - array.ndim), *array.shape))


def alike(one: Numbers, other: Numbers) -> bool:
    """Whether numbers that broadcast to each other are the same everywhere."""
    return bool((one == other).all())


def as_shape(array: Numbers, shape: tuple[int, ...]) -> Numbers | None:
    """The numbers in a smaller shape that broadcasts to theirs; None if they do not repeat."""
    full = (*(1,) * (array.ndim - len(shape)), *shape)
    found = array[tuple(slice(0, 1) if size == 1 else slice(None) for size in full)]
    if found.size != int(np.prod(shape)) or not alike(found, array):
        return None
    return found.reshape(shape)
