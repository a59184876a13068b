"""The uniform soup: Wortsman et al., Model soups, ICML 2022 (arXiv 2203.05482)."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.errors import UsageError
from toolkit.tensors import weighted_mean
from toolkit.types import Ingredient, MergeRequest, MergeResult, tensorwise


def merge(request: MergeRequest) -> MergeResult:
    """Give every ingredient the same share."""
    count = len(request.ingredients)
    return soup(request.ingredients, (1.0 / count,) * count)


def soup(ingredients: Sequence[Ingredient], shares: tuple[float, ...]) -> MergeResult:
    """The mean of the ingredients with the given shares, which sum to 1.

    A mean of one ingredient and its copies is that ingredient.
    """
    used = {item.copy_of or item.name for item, share in zip(ingredients, shares, strict=True) if share}
    if len(used) == 1:
        one = next(item for item in ingredients if item.name in used)
        return MergeResult(one.model, shares=shares, unchanged=one.name)
    model = tensorwise(
        ingredients, lambda arrays, _: weighted_mean(arrays, shares), shares=shares, elementwise=True
    )
    return MergeResult(model, shares=shares)


def known_accuracy(item: Ingredient) -> float:
    """The validation accuracy of an ingredient."""
    if item.validation_accuracy is None:
        raise UsageError(
            f"{item.name}: its validation accuracy is unknown", hint="name a data set with --dataset"
        )
    return item.validation_accuracy
