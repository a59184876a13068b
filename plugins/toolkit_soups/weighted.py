"""A soup whose shares follow from how good the ingredients are."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.errors import UsageError
from toolkit.types import Ingredient, MergeRequest, MergeResult
from toolkit_soups.mean import soup
from toolkit_soups.options import WeightedOptions

_NEARLY_EQUAL = 0.98


def merge(request: MergeRequest) -> MergeResult:
    """Weigh each ingredient by max(accuracy - floor, 0) ** power, or as the user says.

    Raises:
        UsageError: If the weights do not fit the ingredients, or nobody earns any.
    """
    options: WeightedOptions = request.options
    if options.weights:
        raw = _explicit(options.weights, request.ingredients)
        notes = [] if abs(sum(raw) - 1.0) < 1e-9 else [f"the weights sum to {sum(raw):g}: divided by that"]
    else:
        floor = 1.0 / request.classes if options.floor is None else options.floor
        raw = _earned(request.ingredients, floor, options.power)
        notes = [
            f"{item.name} is not above the floor of {100 * floor:.2f} %: weight 0"
            for item, weight in zip(request.ingredients, raw, strict=True)
            if weight == 0.0
        ]
    total = sum(raw)
    weights = tuple(weight / total for weight in raw)
    number = 1.0 / sum(weight * weight for weight in weights)
    notes.append(f"the weights amount to {number:.2f} equal ingredients of {len(weights)} (N_eff = 1/Σw²)")
    if not options.weights and number > _NEARLY_EQUAL * len(weights) and len(set(weights)) > 1:
        notes.append("accuracies this close give nearly the plain mean; a larger power tells them apart")
    return soup(weights, notes)


def _explicit(weights: Sequence[float], ingredients: Sequence[Ingredient]) -> list[float]:
    if len(weights) != len(ingredients):
        raise UsageError(
            f"option weights has {len(weights)} values for {len(ingredients)} models",
            hint="give one weight per model, in the order in which they are named: -o weights=2,1,1",
        )
    # Divided by the largest first, so that no sum of large weights overflows.
    largest = max(weights)
    if not largest > 0.0:
        raise UsageError("option weights has no value above 0", hint="give at least one model a weight")
    raw = [weights[item.position] for item in ingredients]
    return raw if sum(raw) < float("inf") else [weight / largest for weight in raw]


def _earned(ingredients: Sequence[Ingredient], floor: float, power: float) -> list[float]:
    above = [max(_accuracy(item) - floor, 0.0) for item in ingredients]
    best = max(above)
    if best == 0.0:
        raise UsageError(
            f"no ingredient's validation accuracy is above the floor of {100 * floor:.2f} %",
            hint="lower -o floor, or use other models",
        )
    # Relative to the best: a large power of small numbers would vanish.
    return [(value / best) ** power if value > 0.0 else 0.0 for value in above]


def _accuracy(item: Ingredient) -> float:
    if item.validation_accuracy is None:
        raise UsageError(
            f"the validation accuracy of {item.name} is not known",
            hint="give a data set with --dataset, or weights of your own with -o weights=…",
        )
    return item.validation_accuracy
