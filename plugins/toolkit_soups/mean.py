"""The uniform soup: Wortsman et al., Model soups, ICML 2022 (arXiv 2203.05482)."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.tensors import weighted_mean
from toolkit.types import MergeRequest, MergeResult, MergeStep


def merge(request: MergeRequest) -> MergeResult:
    """Weigh every ingredient the same."""
    count = len(request.ingredients)
    return soup((1.0 / count,) * count)


def soup(weights: Sequence[float], notes: Sequence[str] = (), steps: Sequence[MergeStep] = ()) -> MergeResult:
    """The mean of the ingredients under the given weights.

    Args:
        weights: One per ingredient, summing to 1.
        notes: For the report.
        steps: Candidates that were tried.
    """
    shares = tuple(weights)
    return MergeResult(
        combine=lambda group: weighted_mean(group.arrays, shares),
        weights=shares,
        notes=tuple(notes),
        steps=tuple(steps),
    )
