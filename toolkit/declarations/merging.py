"""Strategies that make one model of several, what they receive and what they return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from enum import Enum
from typing import TYPE_CHECKING, Any

from toolkit.declarations.options import NoOptions
from toolkit.errors import PluginError
from toolkit.records import dataclass

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from toolkit.model import Model
    from toolkit.tensors import TensorSpec


class Need(Enum):
    """What a merge strategy cannot work without."""

    SCORES = "validation accuracies of the ingredients"
    EVALUATOR = "validation images to score candidates on"
    IMAGES = "unlabelled images"


@dataclass(frozen=True)
class Ingredient:
    """A model that goes into a merge.

    Attributes:
        name: Short and unique in this merge.
        model: A strategy receives all models with the tensor names and shapes of the first.
        validation_accuracy: 0 to 1; None if unknown.
        digest: The weights digest of the file.
        position: Index in the order in which the user named the models, for options that have one
            value per model.
        copy_of: Name of an earlier ingredient with the same weights; empty if there is none.
    """

    name: str
    model: Model
    validation_accuracy: float | None
    digest: str
    position: int = 0
    copy_of: str = ""


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class MergeResult:
    """The model that a strategy made.

    Attributes:
        model: The merged model. Its tensors are computed when the host reads them, each of them
            perhaps more than once, so they must be a pure function of the ingredients.
        notes: Sentences for the report.
        steps: Candidates that were tried, in order.
        shares: Share of each ingredient, summing to 1, for the report; empty for equal shares.
        unchanged: Name of the ingredient that the model is, if it is one of them unchanged. It
            keeps its own batch statistics.
    """

    model: Model
    notes: tuple[str, ...] = ()
    steps: tuple[MergeStep, ...] = ()
    shares: tuple[float, ...] = ()
    unchanged: str | None = None


@dataclass(frozen=True)
class MergeRequest:
    """Asks a strategy for a merge.

    Attributes:
        ingredients: Two or more, the most accurate first, in an order that does not depend on
            how the user listed them.
        options: An instance of the strategy's options.
        seed: For random choices: seed a generator from (seed, tensor name).
        evaluate: Validation accuracy, 0 to 1, of a candidate, which is recalibrated first if the
            user asked for that; None unless the strategy needs an evaluator.
        images: Draws a number of unlabelled images, (n, 28, 28) uint8, upright, light ink, fewer
            if the data set has fewer; None unless the strategy needs images.
    """

    ingredients: tuple[Ingredient, ...]
    options: Any = field(default_factory=NoOptions)
    seed: int = 0
    evaluate: Callable[[Model], float] | None = None
    images: Callable[[int], NDArray[np.uint8]] | None = None


@dataclass(frozen=True, kw_only=True)
class MergeStrategy:
    """A way to make one model of several.

    Attributes:
        merge: From the ingredients to the merged model. :func:`tensorwise` makes a model from a
            function of one tensor per ingredient.
        needs: What must be available; the host checks it before any work. If that depends on the
            options, a function from an instance of them.
        exactly: The only number of ingredients that it takes; None for two or more.
        rank: If the user names no strategy, the lowest rank whose needs can be met is used.
    """

    name: str
    summary: str
    merge: Callable[[MergeRequest], MergeResult]
    options: type = NoOptions
    needs: frozenset[Need] | Callable[[Any], frozenset[Need]] = frozenset()
    exactly: int | None = None
    rank: int = 100

    def needs_with(self, options: object) -> frozenset[Need]:
        """What must be available with the given options.

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


def tensorwise(
    ingredients: Sequence[Ingredient],
    function: Callable[[tuple[NDArray[Any], ...], TensorSpec], NDArray[Any]],
    *,
    shares: Sequence[float] | None = None,
    elementwise: bool = False,
) -> Model:
    """Make a model from a function of one tensor per ingredient.

    The function receives each float weight: one array per ingredient, of equal shape and type, and
    the tensor's name, shape, type and role. It returns the merged array, of the same shape, in
    float64 or in the ingredients' type, and does not write to its arguments. Running means and
    variances are averaged; integers and random generator states are the first ingredient's. Each
    tensor is computed when it is read.

    Args:
        ingredients: One or more.
        function: Pure.
        shares: For the running means and variances, one per ingredient, summing to 1; equal by
            default.
        elementwise: Whether each element of the result depends only on the same element of the
            arrays. Then the function receives one-dimensional blocks, which saves memory.

    Raises:
        PluginError: When read, if the function returns anything else; at once, if the shares do not fit.
        IncompatibleModelsError: When read, if integers differ or the result is not finite.
    """
    from toolkit.declarations.merged_tensors import TensorwiseTensors

    named = [(item.name, item.model.tensors) for item in ingredients]
    tensors = TensorwiseTensors(named, function, shares, elementwise=elementwise)
    return ingredients[0].model.with_tensors(tensors)
