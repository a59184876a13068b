"""``models compare``: what two models have in common, without running them."""

from __future__ import annotations

import itertools
from pathlib import Path

from toolkit.errors import UsageError
from toolkit.merging.relatedness import cosine_and_distance, products
from toolkit.merging.stages.conform import card_differences, conform
from toolkit.model import Model
from toolkit.model.correspondence import correspondence, differences
from toolkit.operations.open_model import open_model
from toolkit.operations.resources import Resources
from toolkit.records import dataclass
from toolkit.requests.compare import CompareModels
from toolkit.tensors import weights_digest
from toolkit.vocabulary import Progress


@dataclass(frozen=True)
class ComparedPair:
    """Two models beside each other.

    Attributes:
        same_topology: Whether the networks are equal but for the names of their layers.
        differences: What prevents a merge, as sentences about the second.
        cosine: Of the angle between their learnt weights, -1 to 1; None if the networks differ.
        distance: Length of the difference of their learnt weights over the mean of their lengths:
            0 for copies, about 1.4 for unrelated models; None if the networks differ.
    """

    first: Path
    second: Path
    same_topology: bool
    same_weights: bool
    differences: tuple[str, ...]
    cosine: float | None = None
    distance: float | None = None


def compare_models(
    toolkit: Resources, request: CompareModels, progress: Progress
) -> tuple[ComparedPair, ...]:
    """Compare every two of the given models.

    Equal shapes prove nothing, a cosine near 1 suggests related models, and only images show
    whether a merge helps.
    """
    if len(request.models) < 2:
        raise UsageError(f"{len(request.models)} model given to compare", hint="name two or more")
    progress.note("reading the models")
    models = [(path, open_model(toolkit, path, request.arch)) for path in request.models]
    return tuple(_compared(*first, *second) for first, second in itertools.combinations(models, 2))


def _compared(path: Path, model: Model, other_path: Path, other: Model) -> ComparedPair:
    cards = card_differences(other.card, model.card, path.name)
    unlike = (*differences(model, other, path.name), *cards)
    found = correspondence(model, other)
    tensors = other.tensors if found is None else conform(other, model, found).tensors
    same = weights_digest(model.tensors) == weights_digest(tensors)
    figures = (None, None) if found is None else cosine_and_distance(products([model.tensors, tensors]), 0, 1)
    return ComparedPair(path, other_path, found is not None, same, unlike, *figures)
