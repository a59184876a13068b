"""Soups: means of models of one architecture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from toolkit import hookimpl
from toolkit.options import option
from toolkit.records import dataclass
from toolkit.types import MergeStrategy, Need, lazy


@dataclass(frozen=True)
class WeightedOptions:
    """Options of ``weighted``."""

    power: float = option(1.0, help="exponent of accuracy above the floor", minimum=0.0, maximum=100.0)
    floor: float | None = option(
        None, help="accuracy with weight 0; by default chance, 1 / classes", minimum=0.0, maximum=1.0
    )
    weights: tuple[float, ...] = option(
        (), help="one weight per model, in the order of the models, e.g. 2,1,1", minimum=0.0
    )


@dataclass(frozen=True)
class GreedyOptions:
    """Options of ``greedy``."""

    tie: Literal["strict", "accept-equal"] = option(
        "strict", help="whether a candidate with an equal score is kept (accept-equal) or not (strict)"
    )
    passes: int = option(
        1, help="number of passes over the ingredients that are left out", minimum=1, maximum=100
    )
    min_gain: float = option(
        0.0, help="smallest gain in validation accuracy, 0 to 1, that is kept", minimum=0.0, maximum=1.0
    )
    replacement: bool = option(False, help="whether an ingredient may be used more than once")  # noqa: FBT003


@hookimpl
def toolkit_merge_strategies() -> Iterable[MergeStrategy]:
    """Declare the strategies; NumPy is imported when one is used."""
    yield MergeStrategy(
        name="mean",
        summary="The plain mean of all ingredients (uniform soup)",
        merge=lazy("toolkit_soups.soups:mean"),
        rank=20,
    )
    yield MergeStrategy(
        name="weighted",
        summary="A mean weighted by validation accuracy, or by weights of your own",
        merge=lazy("toolkit_soups.soups:weighted"),
        options=WeightedOptions,
        needs=lambda options: frozenset() if options.weights else frozenset({Need.SCORES}),
    )
    yield MergeStrategy(
        name="greedy",
        summary="Adds one ingredient after another while validation accuracy rises (greedy soup)",
        merge=lazy("toolkit_soups.soups:greedy"),
        options=GreedyOptions,
        needs=frozenset({Need.SCORES, Need.EVALUATOR}),
        rank=10,
    )
