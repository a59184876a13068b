"""Whether networks have anything in common, from their weights alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from toolkit.declarations import Ingredient
from toolkit.records import dataclass
from toolkit.tensors import Tensors

UNRELATED_BELOW = 0.5
"""Cosine of the learnt weights. Fine-tunings of one network measure 0.8 and more, independent
trainings 0.0 to 0.3; only images show whether a merge helps."""

_BLOCK = 1 << 14  # elements of each model at a time: what a processor's cache holds


@dataclass(frozen=True)
class UnrelatedPair:
    """Two ingredients with nothing in common."""

    first: str
    other: str
    cosine: float

    @property
    def sentence(self) -> str:
        """The same for a person."""
        cosine = round(self.cosine, 2) + 0.0  # no -0.00
        return f"{self.other} and {self.first} have nothing in common (cosine of weights {cosine:.2f})"


def products(models: Sequence[Tensors]) -> NDArray[np.float64]:
    """Inner products of the learnt weights of n models with the same tensor names: (n, n) float64."""
    total = np.zeros((len(models), len(models)))
    for name, spec in models[0].specs.items():
        if not spec.is_float or spec.role.is_statistic:
            continue
        arrays = [tensors.read(name).reshape(-1) for tensors in models]
        for start in range(0, spec.size, _BLOCK):
            block = np.asarray([array[start : start + _BLOCK] for array in arrays], dtype=np.float64)
            total += block @ block.T
    return total


def cosine_and_distance(product: NDArray[np.float64], i: int, j: int) -> tuple[float | None, float | None]:
    """Of two models in the result of :func:`products`; None for a model of zeros.

    The distance is relative to the mean length: 0 for copies, about 1.4 for unrelated models.
    """
    ours, theirs = math.sqrt(product[i, i]), math.sqrt(product[j, j])
    if ours == 0 or theirs == 0:
        return None, None
    apart = math.sqrt(max(product[i, i] + product[j, j] - 2 * product[i, j], 0.0))
    return float(product[i, j] / (ours * theirs)), apart / ((ours + theirs) / 2)


def unrelated(ingredients: Sequence[Ingredient]) -> Iterator[UnrelatedPair]:
    """Each ingredient that has nothing in common with the first."""
    product = products([item.model.tensors for item in ingredients])
    first = ingredients[0]
    for index, item in enumerate(ingredients[1:], start=1):
        cosine, _ = cosine_and_distance(product, 0, index)
        if cosine is not None and cosine < UNRELATED_BELOW:
            yield UnrelatedPair(first.name, item.name, cosine)
