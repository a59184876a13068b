"""Orders to merge, and strategies whose needs are not met."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from toolkit import hookimpl
from toolkit.declarations import MergeStrategy, Need
from toolkit.operations.merge import Merged


def needy_plugin() -> SimpleNamespace:
    def fail(_: object) -> Any:
        raise AssertionError("its needs are not met")

    @hookimpl
    def toolkit_merge_strategies() -> Iterable[MergeStrategy]:
        yield MergeStrategy(name="needy", summary="needs images", merge=fail, needs=frozenset({Need.IMAGES}))
        yield MergeStrategy(name="pair", summary="takes two", merge=fail, exactly=2)

    return SimpleNamespace(toolkit_merge_strategies=toolkit_merge_strategies)


Run = Callable[..., Merged]
