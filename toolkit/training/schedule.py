"""The learning rate over a training."""

from __future__ import annotations

import math
from dataclasses import dataclass

_FIRST = 0.05
_LAST = 0.001


@dataclass(frozen=True, slots=True)
class WarmupCosine:
    """A rise in a line, then half a cosine down to nearly nothing.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, without
    the restarts.

    Attributes:
        highest: The learning rate at the top.
        steps: Of the whole training, 1 or above.
        warmup: Share of the steps that rise, 0 to 1.
    """

    highest: float
    steps: int
    warmup: float

    def rate(self, step: int) -> float:
        """The learning rate of a step.

        Args:
            step: From 0; steps behind the planned ones have the last rate.
        """
        rising = int(self.steps * self.warmup)
        if step < rising:
            return self.highest * (_FIRST + (1.0 - _FIRST) * step / rising)
        through = min((step - rising) / max(self.steps - rising, 1), 1.0)
        return self.highest * (_LAST + (1.0 - _LAST) * 0.5 * (1.0 + math.cos(math.pi * through)))
