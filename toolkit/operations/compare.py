"""What two models have in common, without running them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolkit.errors import UsageError
from toolkit.merging.conform import conform, same_weights
from toolkit.model import Model
from toolkit.model.correspondence import Correspondence, correspondence, differences
from toolkit.operations.opening import open_model
from toolkit.operations.toolkit import Toolkit
from toolkit.tensors import weights_digest


@dataclass(frozen=True, slots=True)
class Compared:
    """Two models beside each other.

    Attributes:
        first: Of the one file.
        second: Of the other file.
        same_topology: Whether one is the other under other names of layers.
        same_weights: Whether they are the same model, whatever its layers are called.
        differences: What keeps them from being merged, as sentences.
        cosine: Of the angle between their learnt weights, -1 to 1; None without a common topology.
        distance: Length of the difference of their learnt weights over the mean of their lengths;
            0 for copies, about 1.4 for strangers; None without a common topology.
    """

    first: Path
    second: Path
    same_topology: bool
    same_weights: bool
    differences: tuple[str, ...]
    cosine: float | None = None
    distance: float | None = None


def compare_models(toolkit: Toolkit, paths: Sequence[Path]) -> tuple[Compared, ...]:
    """Compare every two of the given models.

    Equal shapes prove nothing: a distance near 0 tells relatives, one near 1.4 tells strangers,
    and only images tell whether a merge helps.

    Args:
        toolkit: Where formats come from.
        paths: Two or more model files.

    Raises:
        UsageError: If fewer than two are given.
        ToolkitError: As for :func:`toolkit.operations.opening.open_model`.
    """
    if len(paths) < 2:
        raise UsageError(f"{len(paths)} model given to compare", hint="name two or more")
    models = [(path, open_model(toolkit, path)) for path in paths]
    digests = {path: weights_digest(model.tensors) for path, model in models}
    return tuple(
        _compared(first, second, same=digests[first[0]] == digests[second[0]])
        for first, second in itertools.combinations(models, 2)
    )


def _compared(first: tuple[Path, Model], second: tuple[Path, Model], *, same: bool) -> Compared:
    (path, model), (other_path, other) = first, second
    found = correspondence(model, other)
    unlike = [*differences(model, other, path.name), *_cards_differ(model, other)]
    if found is None:
        return Compared(path, other_path, same_topology=False, same_weights=same, differences=tuple(unlike))
    cosine, distance = _angle(model, other, found)
    return Compared(
        path,
        other_path,
        same_topology=True,
        same_weights=same or same_weights(model.tensors, conform(other, model, found).tensors),
        differences=tuple(unlike),
        cosine=cosine,
        distance=distance,
    )


def _cards_differ(model: Model, other: Model) -> list[str]:
    unlike = []
    if model.card.classes and other.card.classes and model.card.classes != other.card.classes:
        reordered = sorted(model.card.classes) == sorted(other.card.classes)
        unlike.append("has the same classes in another order" if reordered else "has other classes")
    ours, theirs = model.card.convention, other.card.convention
    if ours is not None and theirs is not None and ours != theirs:
        unlike.append(f"wants its pixels {theirs}, {model.name} wants them {ours}")
    return unlike


def _angle(model: Model, other: Model, found: Correspondence) -> tuple[float | None, float | None]:
    product = ours = theirs = apart = 0.0
    for name, answer in found.tensors.items():
        spec = model.tensors.specs[name]
        if not spec.is_float or spec.role.is_statistic:
            continue
        a = model.tensors.read(name).astype(np.float64).ravel()
        b = other.tensors.read(answer).astype(np.float64).ravel()
        product += float(a @ b)
        ours += float(a @ a)
        theirs += float(b @ b)
        apart += float(np.square(a - b).sum())
    if ours == 0 or theirs == 0:
        return None, None
    length = (math.sqrt(ours) + math.sqrt(theirs)) / 2
    return product / math.sqrt(ours * theirs), math.sqrt(apart) / length
