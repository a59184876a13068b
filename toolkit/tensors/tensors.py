"""Named arrays that are read when they are asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.records import dataclass

_CHUNK = 1 << 15  # elements averaged at a time: 256 KiB of float64, which stays in the cache


class TensorRole(Enum):
    """What a tensor is for; decides what a merge may do with it."""

    KERNEL = "kernel"
    BIAS = "bias"
    SCALE = "normalisation scale"
    SHIFT = "normalisation shift"
    RUNNING_MEAN = "running mean"
    RUNNING_VARIANCE = "running variance"
    GENERATOR_STATE = "random generator state"
    OTHER = "other"

    @property
    def is_statistic(self) -> bool:
        """Whether it was measured on data, not learnt."""
        return self in (TensorRole.RUNNING_MEAN, TensorRole.RUNNING_VARIANCE)


@dataclass(frozen=True)
class TensorSpec:
    """Name, shape, type and role of a tensor, known without reading it.

    Attributes:
        name: ``layer/weight``; a nested model's name comes before its layers' names.
        shape: As the file has it.
        dtype: Little endian.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    role: TensorRole

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def is_float(self) -> bool:
        """Whether a merge may compute with it."""
        return bool(np.issubdtype(self.dtype, np.floating)) and self.role is not TensorRole.GENERATOR_STATE


class Tensors(ABC):
    """A model's tensors, in layer order, read one at a time.

    Attributes:
        specs: Every tensor's specification by name, in layer order.
    """

    specs: Mapping[str, TensorSpec]

    @abstractmethod
    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor; UnreadableInputError if the file does not hold what its header promises."""

    def __iter__(self) -> Iterator[str]:
        return iter(self.specs)

    def __len__(self) -> int:
        return len(self.specs)


class ArrayTensors(Tensors):
    """Tensors that are in memory: arrays and roles by name, in layer order."""

    def __init__(self, arrays: Mapping[str, tuple[NDArray[Any], TensorRole]]) -> None:
        self._arrays = {name: array for name, (array, _) in arrays.items()}
        self.specs = {
            name: TensorSpec(name, tuple(array.shape), array.dtype, role)
            for name, (array, role) in arrays.items()
        }

    def read(self, name: str) -> NDArray[Any]:
        """The array itself, not a copy."""
        return self._arrays[name]


class OverlaidTensors(Tensors):
    """Tensors of which some are replaced by arrays of the same shape, cast to the original's type."""

    def __init__(self, below: Tensors, arrays: Mapping[str, NDArray[Any]]) -> None:
        for name, array in arrays.items():
            if array.shape != below.specs[name].shape:
                raise ValueError(f"{name}: shape {array.shape} in place of {below.specs[name].shape}")
        self._below = below
        self.specs = below.specs
        self._arrays = {
            name: np.asarray(array, dtype=below.specs[name].dtype) for name, array in arrays.items()
        }

    def read(self, name: str) -> NDArray[Any]:
        """The replacement if there is one, otherwise the original."""
        array = self._arrays.get(name)
        return self._below.read(name) if array is None else array


def weighted_mean(
    arrays: Sequence[NDArray[np.floating[Any]]], weights: Sequence[float]
) -> NDArray[np.floating[Any]]:
    """Mean of equal-shaped arrays, accumulated in float64 and cast back once.

    If all arrays are equal, the result is that array, bit for bit. Needs memory for one more array.

    Args:
        arrays: One or more, of one shape and float type.
        weights: One per array, summing to 1; an array of weight 0 is ignored.
    """
    used = [
        (np.ascontiguousarray(array).reshape(-1), weight)
        for array, weight in zip(arrays, weights, strict=True)
        if weight != 0.0
    ]
    uniform = all(weight == used[0][1] for _, weight in used)
    out = np.empty(used[0][0].size, dtype=arrays[0].dtype)
    for start in range(0, out.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        # Not from 0.0: a sum of negative zeros would lose its sign, and copies would not merge to themselves.
        parts = ((array[part], weight) for array, weight in used)
        terms = (piece if uniform else weight * piece.astype(np.float64) for piece, weight in parts)
        total = next(terms).astype(np.float64)
        for term in terms:
            total += term
        out[part] = total / len(used) if uniform else total
        if out.dtype.itemsize >= total.dtype.itemsize:
            # Rounding in float64 itself: copies would not merge to themselves bit for bit.
            first = used[0][0][part]
            same = np.logical_and.reduce([array[part] == first for array, _ in used])
            np.copyto(out[part], first, where=same)
    return out.reshape(arrays[0].shape)
