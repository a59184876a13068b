"""Orders to merge, and strategies whose needs are not met."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np

from toolkit import hookimpl
from toolkit.declarations import MergeRequest, MergeResult, MergeStrategy, Need, tensorwise
from toolkit.engine import Network
from toolkit.operations.merge import Merged


def needy_plugin() -> SimpleNamespace:
    def fail(_: object) -> Any:
        raise AssertionError("its needs are not met")

    def median(request: MergeRequest) -> MergeResult:
        return MergeResult(
            tensorwise(request.ingredients, lambda arrays, _: np.median(arrays, axis=0).astype(np.float64))
        )

    def with_images(request: MergeRequest) -> MergeResult:
        assert request.images is not None
        images = request.images(64)
        best = request.ingredients[0]
        seen = Network.of(best.model).probabilities(images)
        return MergeResult(best.model, notes=(f"{seen.shape} of {images.dtype}",), unchanged=best.name)

    @hookimpl
    def toolkit_merge_strategies() -> Iterable[MergeStrategy]:
        yield MergeStrategy(name="needy", summary="needs images", merge=fail, needs=frozenset({Need.IMAGES}))
        yield MergeStrategy(name="pair", summary="takes two", merge=fail, exactly=2)
        yield MergeStrategy(name="median", summary="the median", merge=median)
        yield MergeStrategy(
            name="seeing", summary="sees images", merge=with_images, needs=frozenset({Need.IMAGES})
        )

    return SimpleNamespace(toolkit_merge_strategies=toolkit_merge_strategies)


Run = Callable[..., Merged]
