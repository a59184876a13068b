"""What the strategies can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from toolkit.options import option


@dataclass(frozen=True)
class WeightedOptions:
    """Options of ``weighted``.

    Attributes:
        power: Exponent of an ingredient's accuracy above the floor.
        floor: Accuracy, 0 to 1, that earns no weight; chance where it is None.
        weights: One per model as listed, summing to whatever they sum to.
    """

    power: float = option(1.0, help="exponent of accuracy above the floor", minimum=0.0, maximum=100.0)
    floor: float | None = option(
        None, help="accuracy that earns no weight; by default chance, 1 / classes", minimum=0.0, maximum=1.0
    )
    weights: tuple[float, ...] = option(
        (), help="one weight per model, in the order in which they are named, e.g. 2,1,1", minimum=0.0
    )


@dataclass(frozen=True)
class GreedyOptions:
    """Options of ``greedy``.

    Attributes:
        tie: What a candidate with an equal score is worth.
        passes: How often the ingredients that were left out are tried.
        min_gain: By how much the accuracy, 0 to 1, must rise.
        replacement: Whether an ingredient may be taken more than once.
    """

    tie: Literal["strict", "accept-equal"] = option(
        "strict", help="whether a candidate that scores the same is kept (accept-equal) or not (strict)"
    )
    passes: int = option(1, help="how often the ingredients left out are tried again", minimum=1, maximum=100)
    min_gain: float = option(
        0.0, help="by how much validation accuracy, 0 to 1, must rise", minimum=0.0, maximum=1.0
    )
    replacement: bool = option(False, help="whether an ingredient may be taken more than once")  # noqa: FBT003
