"""A mean with shares that depend on the ingredients' accuracies."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from toolkit.errors import UsageError
from toolkit.types import Ingredient, MergeRequest, MergeResult
from toolkit.vocabulary import percent
from toolkit_soups.mean import known_accuracy, soup
from toolkit_soups.options import WeightedOptions

_NEARLY_EQUAL = 0.98


def merge(request: MergeRequest) -> MergeResult:
    """Weight each ingredient by max(accuracy - floor, 0) ** power, or by the weights in the options."""
    options: WeightedOptions = request.options
    ingredients = request.ingredients
    if options.weights:
        raw = _explicit(options.weights, ingredients)
        notes = [] if abs(sum(raw) - 1.0) < 1e-9 else [f"the weights sum to {sum(raw):g}: divided by that"]
    else:
        floor = 1.0 / ingredients[0].model.classes if options.floor is None else options.floor
        raw = _from_accuracies(ingredients, floor, options.power)
        notes = [
            f"{item.name} is not above the floor of {percent(floor)}: weight 0"
            for item, weight in zip(ingredients, raw, strict=True)
            if weight == 0.0
        ]
    total = sum(raw)
    shares = tuple(weight / total for weight in raw)
    number = 1.0 / sum(share * share for share in shares)
    notes.append(f"effective number of models: {number:.2f} of {len(shares)} (1/Σw²)")
    if not options.weights and number > _NEARLY_EQUAL * len(shares) and len(set(shares)) > 1:
        notes.append("these accuracies are so close that the result is nearly the plain mean; raise -o power")
    return dataclasses.replace(soup(ingredients, shares), notes=tuple(notes))


def _explicit(weights: Sequence[float], ingredients: Sequence[Ingredient]) -> list[float]:
    if len(weights) != len(ingredients):
        raise UsageError(
            f"option weights has {len(weights)} values for {len(ingredients)} models",
            hint="give one weight per model, in the order of the models: -o weights=2,1,1",
        )
    largest = max(weights)
    if not largest > 0.0:
        raise UsageError("option weights has no value above 0", hint="give at least one model a weight")
    raw = [weights[item.position] for item in ingredients]
    # A sum of very large weights overflows.
    return raw if sum(raw) < float("inf") else [weight / largest for weight in raw]


def _from_accuracies(ingredients: Sequence[Ingredient], floor: float, power: float) -> list[float]:
    above = [max(known_accuracy(item) - floor, 0.0) for item in ingredients]
    best = max(above)
    if best == 0.0:
        raise UsageError(
            f"no ingredient's validation accuracy is above the floor of {percent(floor)}",
            hint="lower -o floor, or use other models",
        )
    # Relative to the best: a large power of a small number underflows.
    return [(value / best) ** power if value > 0.0 else 0.0 for value in above]
