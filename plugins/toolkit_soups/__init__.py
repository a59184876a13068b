"""Soups: means of models of one architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module

from toolkit import hookimpl
from toolkit.types import MergeRequest, MergeResult, MergeStrategy, Need
from toolkit_soups.options import GreedyOptions, WeightedOptions


@hookimpl
def toolkit_merge_strategies() -> Iterable[MergeStrategy]:
    """Declare the strategies; NumPy is imported when one is used."""
    yield MergeStrategy(
        name="mean",
        summary="The plain mean of all ingredients (uniform soup)",
        merge=_lazy("mean"),
        rank=20,
    )
    yield MergeStrategy(
        name="weighted",
        summary="A mean weighted by validation accuracy, or by weights of your own",
        merge=_lazy("weighted"),
        options=WeightedOptions,
        needs=lambda options: frozenset() if options.weights else frozenset({Need.SCORES}),
    )
    yield MergeStrategy(
        name="greedy",
        summary="Adds one ingredient after another while validation accuracy rises (greedy soup)",
        merge=_lazy("greedy"),
        options=GreedyOptions,
        needs=frozenset({Need.SCORES, Need.EVALUATOR}),
        rank=10,
    )


def _lazy(strategy: str) -> Callable[[MergeRequest], MergeResult]:
    def merge(request: MergeRequest) -> MergeResult:
        result: MergeResult = getattr(import_module("toolkit_soups.soups"), strategy)(request)
        return result

    return merge
