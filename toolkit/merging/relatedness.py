"""Whether networks have anything in common, from their kernels alone."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

import numpy as np
from numpy.typing import NDArray

from toolkit.declarations import Ingredient
from toolkit.records import dataclass
from toolkit.tensors import TensorRole, Tensors, TensorSpec

RELATED_FROM = 0.3
"""Median of the cosines of the kernels.

Independent trainings of one architecture measure 0.00 to 0.04: three pairs by other people (a
convolution and four dense layers, two convolutions and a dense layer, two and two) and two of our
own; no single kernel has more than 0.15. With normalisation parameters and biases, the cosine of all
weights of such a pair reaches 0.57. A network and its fine-tuning by Adam measure 0.98 after 4 epochs
at a learning rate of 0.001, 0.90 after 20, 0.69 after 4 epochs at 0.01 and 0.60 after 10; two
fine-tunings of one network on different images 0.98, 0.90, 0.70 and 0.61; a pair by other people,
trained on with augmentation, 0.88."""

_BLOCK = 1 << 14  # elements of each model at a time: what a processor's cache holds

Products = Mapping[str, NDArray[np.float64]]
"""By kernel: inner products of n models, (n, n)."""


@dataclass(frozen=True)
class Likeness:
    """How alike the kernels of two networks are.

    Attributes:
        cosine: Median of the kernels' cosines, -1 to 1; None if every kernel of one of them is zero.
        distance: Length of the difference of all kernels over the mean of their lengths: 0 for
            copies, about 1.4 for unrelated networks; None like the cosine.
        by_kernel: The cosines by tensor; those of zeros are left out.
    """

    cosine: float | None = None
    distance: float | None = None
    by_kernel: Mapping[str, float] = field(default_factory=dict)

    @property
    def related(self) -> bool:
        """Whether the networks share an ancestor."""
        return self.cosine is not None and self.cosine >= RELATED_FROM


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
        return f"{self.other} and {self.first} have nothing in common (cosine of kernels {cosine:.2f})"


def kernel_products(models: Sequence[Tensors]) -> Products:
    """Inner products of the kernels of n models with the same tensor names; each is read once.

    Normalisation parameters do not count: they are near 1 in every network. Neither do biases. A
    network without kernels is measured by its other learnt tensors.
    """
    found = {}
    for name in _kernels(models[0].specs):
        arrays = [tensors.read(name).reshape(-1) for tensors in models]
        total = np.zeros((len(models), len(models)))
        for start in range(0, arrays[0].size, _BLOCK):
            block = np.asarray([array[start : start + _BLOCK] for array in arrays], dtype=np.float64)
            total += block @ block.T
        found[name] = total
    return found


def _kernels(specs: Mapping[str, TensorSpec]) -> list[str]:
    learnt = {name: spec for name, spec in specs.items() if spec.is_float and not spec.role.is_statistic}
    kernels = [name for name, spec in learnt.items() if spec.role is TensorRole.KERNEL]
    return kernels or [name for name, spec in learnt.items() if len(spec.shape) > 1] or list(learnt)


def likeness(products: Products, i: int, j: int) -> Likeness:
    """Of two models in the result of :func:`kernel_products`."""
    cosines = {}
    for name, product in products.items():
        lengths = math.sqrt(product[i, i]) * math.sqrt(product[j, j])
        if lengths > 0:
            cosines[name] = float(product[i, j] / lengths)
    if not cosines:
        return Likeness()
    total = sum(products.values())
    assert isinstance(total, np.ndarray)
    apart = math.sqrt(max(total[i, i] + total[j, j] - 2 * total[i, j], 0.0))
    mean = (math.sqrt(total[i, i]) + math.sqrt(total[j, j])) / 2
    return Likeness(statistics.median(cosines.values()), apart / mean, cosines)


def unrelated(ingredients: Sequence[Ingredient]) -> Iterator[UnrelatedPair]:
    """Each ingredient that has nothing in common with the first."""
    products = kernel_products([item.model.tensors for item in ingredients])
    first = ingredients[0]
    for index, item in enumerate(ingredients[1:], start=1):
        found = likeness(products, 0, index)
        if found.cosine is not None and not found.related:
            yield UnrelatedPair(first.name, item.name, found.cosine)
