"""Soups: means of models of one architecture."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit import hookimpl
from toolkit.types import MergeRequest, MergeResult, MergeStrategy, Need
from toolkit_soups.options import GreedyOptions, WeightedOptions


@hookimpl
def toolkit_merge_strategies() -> Iterable[MergeStrategy]:
    """Declare the strategies; NumPy is imported when one is used."""
    yield MergeStrategy(
        name="mean",
        summary="The plain mean of all ingredients (uniform soup)",
        merge=_mean,
        rank=20,
    )
    yield MergeStrategy(
        name="weighted",
        summary="A mean weighted by validation accuracy, or by weights of your own",
        merge=_weighted,
        options=WeightedOptions,
        needs=_needs_of_weighted,
    )
    yield MergeStrategy(
        name="greedy",
        summary="Adds one ingredient after another while validation accuracy rises (greedy soup)",
        merge=_greedy,
        options=GreedyOptions,
        needs=frozenset({Need.SCORES, Need.EVALUATOR}),
        rank=10,
    )


def _needs_of_weighted(options: WeightedOptions) -> frozenset[Need]:
    return frozenset() if options.weights else frozenset({Need.SCORES})


def _mean(request: MergeRequest) -> MergeResult:
    from toolkit_soups.mean import merge

    return merge(request)


def _weighted(request: MergeRequest) -> MergeResult:
    from toolkit_soups.weighted import merge

    return merge(request)


def _greedy(request: MergeRequest) -> MergeResult:
    from toolkit_soups.greedy import merge

    return merge(request)
