"""The greedy soup: Wortsman et al., Model soups, ICML 2022 (arXiv 2203.05482), recipe 1."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from toolkit.errors import UsageError
from toolkit.types import MergeRequest, MergeResult, MergeStep
from toolkit_soups.mean import soup
from toolkit_soups.options import GreedyOptions


def merge(request: MergeRequest) -> MergeResult:
    """Start with the best ingredient and add the next best one while the mean scores better.

    Ingredients of equal accuracy are tried in the order of the request. The paper's text keeps a
    candidate of equal score, its published code only a better one: the option ``tie`` decides.

    Raises:
        UsageError: If there is nothing to score candidates with.
    """
    options: GreedyOptions = request.options
    if request.evaluate is None:
        raise UsageError("greedy scores every candidate on validation images", hint="give --dataset")
    order = sorted(range(len(request.ingredients)), key=lambda i: -(_accuracy(request, i)))
    tried = _Tried(request.evaluate)
    counts = [0] * len(order)
    counts[order[0]] = 1
    best = tried.score(counts)
    steps = [MergeStep(request.ingredients[order[0]].name, best, accepted=True)]
    for turn in range(options.passes):
        kept_any = False
        for index in order:
            first_of_all = turn == 0 and index == order[0]
            if counts[index] and (first_of_all or not options.replacement):
                continue
            counts[index] += 1
            score = tried.score(counts)
            kept = _is_better(score, best, options)
            steps.append(MergeStep(request.ingredients[index].name, score, accepted=kept))
            if kept:
                best, kept_any = score, True
            else:
                counts[index] -= 1
        if not kept_any:
            break
    notes = tuple(_notes(request, counts))
    return dataclasses.replace(tried.soup(counts), notes=notes, steps=tuple(steps))


class _Tried:
    """Scores soups; one that was scored before is not scored again."""

    def __init__(self, evaluate: Callable[[MergeResult], float]) -> None:
        self._evaluate = evaluate
        self._known: dict[tuple[float, ...], tuple[MergeResult, float]] = {}

    def score(self, counts: Sequence[int]) -> float:
        return self._of(counts)[1]

    def soup(self, counts: Sequence[int]) -> MergeResult:
        """The very one that was scored, so that its host need not finish it again."""
        return self._of(counts)[0]

    def _of(self, counts: Sequence[int]) -> tuple[MergeResult, float]:
        shares = _shares(counts)
        if shares not in self._known:
            candidate = soup(shares)
            self._known[shares] = (candidate, self._evaluate(candidate))
        return self._known[shares]


def _shares(counts: Sequence[int]) -> tuple[float, ...]:
    total = sum(counts)
    return tuple(count / total for count in counts)


def _is_better(score: float, best: float, options: GreedyOptions) -> bool:
    wanted = best + options.min_gain
    return score >= wanted if options.tie == "accept-equal" else score > wanted


def _accuracy(request: MergeRequest, index: int) -> float:
    accuracy = request.ingredients[index].validation_accuracy
    if accuracy is None:
        raise UsageError(
            f"the validation accuracy of {request.ingredients[index].name} is not known",
            hint="give a data set with --dataset",
        )
    return accuracy


def _notes(request: MergeRequest, counts: Sequence[int]) -> list[str]:
    kept = [item.name for item, count in zip(request.ingredients, counts, strict=True) if count]
    if len(kept) == 1:
        return [f"no mean with another ingredient scored better than {kept[0]} alone"]
    return [f"kept {len(kept)} of {len(counts)} ingredients"]
