"""The merged tensors, each computed when it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.declarations import Ingredient, MergeResult, TensorGroup
from toolkit.errors import IncompatibleModelsError, PluginError
from toolkit.merging.conform import is_finite
from toolkit.merging.matching import is_constant
from toolkit.model import Model
from toolkit.tensors import Tensors, TensorSpec, weighted_mean

_FAITHFUL = 1e-6


class CombinedTensors(Tensors):
    """One set of tensors made of several, as a strategy decided.

    Reading a tensor reads that tensor of every ingredient and no other, so that writing the merge
    needs memory for the largest tensor once an ingredient and once for the result. Float weights
    go through the strategy; running means and variances are averaged with its weights; integers
    and generator states are the first ingredient's.

    Args:
        ingredients: Conformed to one another.
        result: What the strategy decided.
        strategy: Its name, for error messages.
    """

    def __init__(self, ingredients: Sequence[Ingredient], result: MergeResult, strategy: str) -> None:
        _check_weights(result.weights, len(ingredients), strategy)
        self._ingredients = tuple(ingredients)
        self._result = result
        self._strategy = strategy

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Every tensor\'s specification by name, in layer order."""
        return self._ingredients[0].model.tensors.specs

    def read(self, name: str) -> NDArray[Any]:
        """Compute one merged tensor.

        Raises:
            IncompatibleModelsError: If integers differ, or the result is not finite.
            PluginError: If the strategy gives something that is no tensor of this shape.
        """
        spec = self.specs[name]
        if not spec.is_float:
            return self._copied(spec)
        arrays = tuple(item.model.tensors.read(name) for item in self._ingredients)
        if spec.role.is_statistic:
            return weighted_mean(arrays, self._result.weights)
        merged: object = self._result.combine(TensorGroup(name, spec.role, arrays))
        if not isinstance(merged, np.ndarray):
            raise PluginError(
                f"strategy {self._strategy} made {type(merged).__name__} of tensor {name}, "
                "expected a NumPy array",
                hint="report it to the strategy's author",
            )
        if merged.shape != spec.shape or not np.issubdtype(merged.dtype, np.floating):
            raise PluginError(
                f"strategy {self._strategy} made {merged.dtype} {merged.shape} of tensor {name}, "
                f"which is {spec.dtype} {spec.shape}",
                hint="report it to the strategy's author",
            )
        with np.errstate(over="ignore"):
            cast_back = np.asarray(merged, dtype=spec.dtype)
        if not is_finite(cast_back):
            raise IncompatibleModelsError(
                f"strategy {self._strategy} made values of tensor {name} that are NaN or beyond {spec.dtype}",
                hint="choose another strategy or other options",
            )
        return cast_back

    def _copied(self, spec: TensorSpec) -> NDArray[Any]:
        first = self._ingredients[0].model.tensors.read(spec.name)
        if is_constant(spec):
            for item in self._ingredients[1:]:
                if not np.array_equal(item.model.tensors.read(spec.name), first):
                    raise IncompatibleModelsError(
                        f"{item.name}: the integers of {spec.name} differ from those of "
                        f"{self._ingredients[0].name}: they cannot be averaged",
                        hint="merge networks that agree in them",
                    )
        return first


def combined(ingredients: Sequence[Ingredient], result: MergeResult, strategy: str) -> Model:
    """The merged network: the first ingredient's wiring with the merged tensors."""
    return ingredients[0].model.with_tensors(CombinedTensors(ingredients, result, strategy))


def plain_mean(ingredients: Sequence[Ingredient]) -> MergeResult:
    """What an averaging script would make of the ingredients, for comparison."""
    share = tuple(1.0 / len(ingredients) for _ in ingredients)
    return MergeResult(lambda group: weighted_mean(group.arrays, share), share)


def only_ingredient(result: MergeResult) -> int | None:
    """The place of the one ingredient that the merge consists of, if it is only one."""
    used = [index for index, weight in enumerate(result.weights) if weight != 0.0]
    return used[0] if len(used) == 1 else None


def effective_number(weights: Sequence[float]) -> float:
    """How many equally weighted ingredients the weights amount to: 1 / Σw²."""
    return float(1.0 / sum(weight * weight for weight in weights))


def _check_weights(weights: Sequence[float], expected: int, strategy: str) -> None:
    total = sum(weights)
    if len(weights) == expected and all(np.isfinite(weights)) and abs(total - 1.0) <= _FAITHFUL:
        return
    raise PluginError(
        f"strategy {strategy} gave {len(weights)} weights with the sum {total:g} for {expected} ingredients",
        hint="report it to the strategy's author",
    )
