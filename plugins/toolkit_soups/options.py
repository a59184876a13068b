"""Options of the strategies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from toolkit.options import option


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
