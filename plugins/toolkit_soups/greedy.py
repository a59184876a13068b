"""The greedy soup: Wortsman et al., Model soups, ICML 2022 (arXiv 2203.05482), recipe 1."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from toolkit.errors import UsageError
from toolkit.types import MergeRequest, MergeResult, MergeStep
from toolkit_soups.mean import known_accuracy, soup
from toolkit_soups.options import GreedyOptions


def merge(request: MergeRequest) -> MergeResult:
    """Start with the best ingredient; add the next best one if the mean then scores better.

    Ingredients of equal accuracy are tried in the order of the request. The paper's text keeps a
    candidate of equal score, its published code only a better one: the option ``tie`` decides.
    """
    options: GreedyOptions = request.options
    names = [item.name for item in request.ingredients]
    order = sorted(range(len(names)), key=lambda index: -known_accuracy(request.ingredients[index]))
    tried = _Tried(request)
    counts = [0] * len(order)
    counts[order[0]] = 1
    best = tried.score(counts)
    steps = [MergeStep(names[order[0]], best, accepted=True)]
    for turn in range(options.passes):
        kept_any = False
        for index in order:
            first_of_all = turn == 0 and index == order[0]
            if counts[index] and (first_of_all or not options.replacement):
                continue
            counts[index] += 1
            score = tried.score(counts)
            kept = _is_better(score, best, options)
            steps.append(MergeStep(names[index], score, accepted=kept))
            if kept:
                best, kept_any = score, True
            else:
                counts[index] -= 1
        if not kept_any:
            break
    kept_names = [name for name, count in zip(names, counts, strict=True) if count]
    note = f"kept {len(kept_names)} of {len(names)} ingredients"
    if len(kept_names) == 1:
        note = f"no mean with another ingredient scored better than {kept_names[0]} alone"
    return dataclasses.replace(tried.soup(counts), notes=(note,), steps=tuple(steps))


class _Tried:
    """Scores soups, each of them once."""

    def __init__(self, request: MergeRequest) -> None:
        if request.evaluate is None:
            raise UsageError(
                "greedy scores every candidate on validation images", hint="name a data set with --dataset"
            )
        self._evaluate = request.evaluate
        self._ingredients = request.ingredients
        self._known: dict[tuple[float, ...], tuple[MergeResult, float]] = {}

    def score(self, counts: Sequence[int]) -> float:
        return self._of(counts)[1]

    def soup(self, counts: Sequence[int]) -> MergeResult:
        return self._of(counts)[0]

    def _of(self, counts: Sequence[int]) -> tuple[MergeResult, float]:
        total = sum(counts)
        shares = tuple(count / total for count in counts)
        if shares not in self._known:
            candidate = soup(self._ingredients, shares)
            self._known[shares] = (candidate, self._evaluate(candidate.model))
        return self._known[shares]


def _is_better(score: float, best: float, options: GreedyOptions) -> bool:
    wanted = best + options.min_gain
    return score >= wanted if options.tie == "accept-equal" else score > wanted
