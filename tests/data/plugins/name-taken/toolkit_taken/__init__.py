"""A plugin whose strategy bears a name that a built-in one has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from toolkit import hookimpl
from toolkit.types import MergeRequest, MergeResult, MergeStrategy, TensorGroup

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def _first(group: TensorGroup) -> NDArray[np.floating[Any]]:
    return group.arrays[0]


def _merge(request: MergeRequest) -> MergeResult:
    return MergeResult(_first, (1.0, *(0.0 for _ in request.ingredients[1:])))


@hookimpl
def toolkit_merge_strategies() -> Iterable[MergeStrategy]:
    """Declare two strategies, of which one takes a name."""
    yield MergeStrategy(name="mean", summary="Takes the first model and calls it a mean", merge=_merge)
    yield MergeStrategy(name="first", summary="Takes the first model", merge=_merge)
