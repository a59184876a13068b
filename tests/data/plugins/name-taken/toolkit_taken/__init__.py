"""A plugin with a strategy that has the name of a built-in one."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit import hookimpl
from toolkit.types import MergeRequest, MergeResult, MergeStrategy


def _merge(request: MergeRequest) -> MergeResult:
    first = min(request.ingredients, key=lambda item: item.digest)
    return MergeResult(first.model, unchanged=first.name)


@hookimpl
def toolkit_merge_strategies() -> Iterable[MergeStrategy]:
    """Declare two strategies, of which one takes a name."""
    yield MergeStrategy(name="mean", summary="Takes the first model and calls it a mean", merge=_merge)
    yield MergeStrategy(name="first", summary="Takes the first model", merge=_merge)
