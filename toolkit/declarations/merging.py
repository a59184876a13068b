"""Strategies that make one model of several, and what they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from toolkit.declarations.options import NoOptions
from toolkit.errors import PluginError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from toolkit.model import Model
    from toolkit.tensors import TensorRole


class Need(Enum):
    """What a merge strategy cannot work without."""

    SCORES = "validation accuracies of the ingredients"
    EVALUATOR = "validation images to score candidates on"
    BASE = "a base model"
    GRADIENTS = "gradients"
    ACTIVATIONS = "images to run through the ingredients"


@dataclass(frozen=True, slots=True)
class Ingredient:
    """A model that goes into a merge.

    Attributes:
        name: Short and unique in this merge.
        model: Conformed: its tensors bear the names and have the shapes of the first one's.
        validation_accuracy: 0 to 1, None where it is not known.
        digest: The weights digest.
        position: The place in which the user listed it, from 0: for options that give one
            value per model.
    """

    name: str
    model: Model
    validation_accuracy: float | None
    digest: str
    position: int = 0


@dataclass(frozen=True, slots=True)
class TensorGroup:
    """The same tensor of every ingredient.

    Attributes:
        name: ``layer/weight``.
        role: What the tensor is for.
        arrays: One array per ingredient, in the ingredients' order, of equal shape and float
            type, as stored: accumulate in float64 (``toolkit.model.weighted_mean`` does).
        base: The base model's, where the strategy needs a base.
    """

    name: str
    role: TensorRole
    arrays: tuple[NDArray[np.floating[Any]], ...]
    base: NDArray[np.floating[Any]] | None = None


@dataclass(frozen=True, slots=True)
class MergeStep:
    """One candidate that a strategy tried, for the report.

    Attributes:
        ingredient: Name of the ingredient that was tried.
        score: Validation accuracy of the candidate, 0 to 1.
        accepted: Whether it was kept.
    """

    ingredient: str
    score: float
    accepted: bool


@dataclass(frozen=True, slots=True)
class MergeResult:
    """How the ingredients become one model.

    Attributes:
        combine: From one tensor of every ingredient to the merged one, of the same shape, in
            float64 or in the ingredients' type. The host calls it for each float weight,
            streams, casts and writes. It must be pure: the host may call it in any order, or
            again.
        weights: One per ingredient, summing to 1: the share of each. The host averages running
            means and variances with them. All on one ingredient says that the merge is that
            ingredient: its own statistics are right and are not recalibrated.
        notes: Sentences for the report.
        steps: Candidates that were tried, in order.
    """

    combine: Callable[[TensorGroup], NDArray[np.floating[Any]]]
    weights: tuple[float, ...]
    notes: tuple[str, ...] = ()
    steps: tuple[MergeStep, ...] = ()


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """Asks a strategy how to merge.

    Attributes:
        ingredients: Two or more, matched tensor by tensor, in an order that does not depend
            on how they were listed.
        classes: Number of outputs.
        options: An instance of the strategy's options.
        seed: For random choices: seed a generator from (seed, tensor name).
        evaluate: Validation accuracy, 0 to 1, of a candidate, its batch statistics
            recalibrated first when the user asked for that; None unless the strategy needs
            an evaluator.
    """

    ingredients: tuple[Ingredient, ...]
    classes: int
    options: Any = field(default_factory=NoOptions)
    seed: int = 0
    evaluate: Callable[[MergeResult], float] | None = None


@dataclass(frozen=True, kw_only=True)
class MergeStrategy:
    """A way to make one model of several.

    Attributes:
        merge: Looks at the ingredients and returns how each tensor is to be combined. A
            strategy never sees a framework.
        needs: What must be at hand; the host checks it before any work. Where that depends on
            the options, a function from an instance of them.
        exactly: The only number of ingredients that it takes; None for two or more.
        rank: Where the user names none, the lowest whose needs can be met is taken.
    """

    name: str
    summary: str
    merge: Callable[[MergeRequest], MergeResult]
    options: type = NoOptions
    needs: frozenset[Need] | Callable[[Any], frozenset[Need]] = frozenset()
    exactly: int | None = None
    rank: int = 100

    def needs_with(self, options: object) -> frozenset[Need]:
        """What must be at hand under the given options.

        Raises:
            PluginError: If the strategy's function returns anything else.
        """
        needs: object = self.needs(options) if callable(self.needs) else self.needs
        if not isinstance(needs, frozenset) or not all(isinstance(need, Need) for need in needs):
            raise PluginError(
                f"merge strategy {self.name!r}: needs are {needs!r}, expected a frozenset of Need",
                hint="report it to the strategy's author",
            )
        return needs
