"""Soups: Wortsman et al., Model soups, ICML 2022 (arXiv 2203.05482)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from toolkit.errors import UsageError
from toolkit.tensors import weighted_mean
from toolkit.types import Ingredient, MergeRequest, MergeResult, MergeStep, tensorwise
from toolkit.vocabulary import percent
from toolkit_soups import GreedyOptions, WeightedOptions

_NEARLY_EQUAL = 0.98


def mean(request: MergeRequest) -> MergeResult:
    """Give every ingredient the same share (uniform soup)."""
    count = len(request.ingredients)
    return _soup(request.ingredients, (1.0 / count,) * count)


def weighted(request: MergeRequest) -> MergeResult:
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
    return dataclasses.replace(_soup(ingredients, shares), notes=tuple(notes))


def greedy(request: MergeRequest) -> MergeResult:
    """Start with the best ingredient; add the next best one if the mean then scores better (recipe 1).

    Ingredients of equal accuracy are tried in the order of the request. The paper's text keeps a
    candidate of equal score, its published code only a better one: the option ``tie`` decides.
    """
    options: GreedyOptions = request.options
    evaluate = request.evaluate
    if evaluate is None:
        raise UsageError(
            "greedy scores every candidate on validation images", hint="name a data set with --dataset"
        )
    scored: dict[tuple[float, ...], tuple[MergeResult, float]] = {}

    def scored_soup(counts: Sequence[int]) -> tuple[MergeResult, float]:
        shares = tuple(count / sum(counts) for count in counts)
        if shares not in scored:
            candidate = _soup(request.ingredients, shares)
            scored[shares] = candidate, evaluate(candidate.model)
        return scored[shares]

    names = [item.name for item in request.ingredients]
    order = sorted(range(len(names)), key=lambda index: -_accuracy(request.ingredients[index]))
    counts = [int(index == order[0]) for index in range(len(order))]
    result, best = scored_soup(counts)
    steps = [MergeStep(names[order[0]], best, accepted=True)]
    for turn in range(options.passes):
        kept_any = False
        for index in order:
            first_of_all = turn == 0 and index == order[0]
            if counts[index] and (first_of_all or not options.replacement):
                continue
            counts[index] += 1
            candidate, score = scored_soup(counts)
            wanted = best + options.min_gain
            kept = score > wanted or (score == wanted and options.tie == "accept-equal")
            steps.append(MergeStep(names[index], score, accepted=kept))
            if kept:
                result, best, kept_any = candidate, score, True
            else:
                counts[index] -= 1
        if not kept_any:
            break
    kept_names = [name for name, count in zip(names, counts, strict=True) if count]
    note = f"kept {len(kept_names)} of {len(names)} ingredients"
    if len(kept_names) == 1:
        note = f"no mean with another ingredient scored better than {kept_names[0]} alone"
    return dataclasses.replace(result, notes=(note,), steps=tuple(steps))


def _soup(ingredients: Sequence[Ingredient], shares: tuple[float, ...]) -> MergeResult:
    """The mean with shares that sum to 1; of one ingredient and its copies, that ingredient."""
    used = {item.copy_of or item.name for item, share in zip(ingredients, shares, strict=True) if share}
    if len(used) == 1:
        one = next(item for item in ingredients if item.name in used)
        return MergeResult(one.model, shares=shares, unchanged=one.name)
    model = tensorwise(
        ingredients, lambda arrays, _: weighted_mean(arrays, shares), shares=shares, elementwise=True
    )
    return MergeResult(model, shares=shares)


def _accuracy(item: Ingredient) -> float:
    if item.validation_accuracy is None:
        raise UsageError(
            f"{item.name}: its validation accuracy is unknown", hint="name a data set with --dataset"
        )
    return item.validation_accuracy


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
    above = [max(_accuracy(item) - floor, 0.0) for item in ingredients]
    best = max(above)
    if best == 0.0:
        raise UsageError(
            f"no ingredient's validation accuracy is above the floor of {percent(floor)}",
            hint="lower -o floor, or use other models",
        )
    # Relative to the best: a large power of a small number underflows.
    return [(value / best) ** power if value > 0.0 else 0.0 for value in above]
