"""Tensors that are computed from the ingredients' tensors when they are read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import IncompatibleModelsError, PluginError
from toolkit.tensors import TensorRole, Tensors, TensorSpec, is_finite, weighted_mean

_BLOCK = 1 << 15  # elements
_COUNTERS = frozenset({"count", "counter", "iterations", "num_batches_tracked", "seed_counter", "step"})
_TELL = "report it to the strategy's author"


class TensorwiseTensors(Tensors):
    """What :func:`toolkit.types.tensorwise` makes.

    Reading a tensor reads that tensor of every ingredient and no other, so the memory needed is
    that of the largest tensor, once per ingredient and once for the result.

    Args:
        ingredients: Name and tensors of each.
    """

    def __init__(
        self,
        ingredients: Sequence[tuple[str, Tensors]],
        function: Callable[[tuple[NDArray[Any], ...], TensorSpec], NDArray[Any]],
        shares: Sequence[float] | None,
        *,
        elementwise: bool,
    ) -> None:
        self._ingredients = tuple(ingredients)
        self.specs = self._ingredients[0][1].specs
        self._function = function
        self._elementwise = elementwise
        self._shares = check_shares(shares or (), len(self._ingredients))

    def read(self, name: str) -> NDArray[Any]:
        """Compute one merged tensor."""
        spec = self.specs[name]
        if not spec.is_float:
            return self._copied(spec)
        arrays = tuple(tensors.read(name) for _, tensors in self._ingredients)
        if spec.role.is_statistic:
            return weighted_mean(arrays, self._shares)
        if not self._elementwise:
            return self._merged(arrays, spec)
        flat = [np.ascontiguousarray(array).reshape(-1) for array in arrays]
        out = np.empty(spec.size, dtype=spec.dtype)
        for start in range(0, spec.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            out[part] = self._merged(tuple(array[part] for array in flat), spec)
        return out.reshape(spec.shape)

    def _merged(self, arrays: tuple[NDArray[Any], ...], spec: TensorSpec) -> NDArray[Any]:
        merged: object = self._function(arrays, spec)
        wrong = ""
        if not isinstance(merged, np.ndarray):
            wrong = type(merged).__name__
        elif merged.shape != arrays[0].shape or merged.dtype not in (np.float64, spec.dtype):
            wrong = f"{merged.dtype} {merged.shape}"
        if wrong:
            raise PluginError(
                f"the strategy's function returned {wrong} for tensor {spec.name}, "
                f"expected float64 or {spec.dtype} {arrays[0].shape}",
                hint=_TELL,
            )
        with np.errstate(over="ignore"):
            cast_back = np.asarray(merged, dtype=spec.dtype)
        if not is_finite(cast_back):
            raise IncompatibleModelsError(
                f"the strategy gives tensor {spec.name} values that are NaN or too large for {spec.dtype}",
                hint="choose another strategy or other options",
            )
        return cast_back

    def _copied(self, spec: TensorSpec) -> NDArray[Any]:
        (first_name, first_tensors), *others = self._ingredients
        first = first_tensors.read(spec.name)
        if is_constant(spec):
            for name, tensors in others:
                if not np.array_equal(tensors.read(spec.name), first):
                    raise IncompatibleModelsError(
                        f"{name}: the integers of {spec.name} differ from those of "
                        f"{first_name}: they cannot be averaged",
                        hint="merge networks with equal integers",
                    )
        return first


def is_constant(spec: TensorSpec) -> bool:
    """Whether a tensor holds integers or booleans that must be equal in all ingredients.

    Generator states and step counters differ between trainings and do not matter.
    """
    part = spec.name.rpartition("/")[2]
    return not spec.is_float and spec.role is not TensorRole.GENERATOR_STATE and part not in _COUNTERS


def check_shares(shares: Sequence[float], count: int) -> tuple[float, ...]:
    """The shares, or equal ones if there are none.

    Raises:
        PluginError: If they are not finite numbers that sum to 1, one per ingredient.
    """
    if not shares:
        return (1.0 / count,) * count
    total = sum(shares)
    if len(shares) == count and all(map(math.isfinite, shares)) and abs(total - 1.0) <= 1e-6:
        return tuple(shares)
    raise PluginError(
        f"the strategy gave {len(shares)} shares with the sum {total:g} for {count} ingredients",
        hint=_TELL,
    )
