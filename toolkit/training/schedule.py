"""The learning rate over a training."""

from __future__ import annotations

import math
from dataclasses import dataclass

_FIRST = 0.05
_LAST = 0.001


@dataclass(frozen=True, slots=True)
class WarmupCosine:
    """A linear rise, then half a cosine down to nearly zero.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, without
    the restarts.

    Attributes:
        highest: The highest learning rate.
        steps: Number of steps of the whole training, 1 or above.
        warmup: Share of the steps that rise, 0 to 1.
    """

    highest: float
    steps: int
    warmup: float

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0; the last rate for later steps."""
        rising = int(self.steps * self.warmup)
        if step < rising:
            return self.highest * (_FIRST + (1.0 - _FIRST) * step / rising)
        progress = min((step - rising) / max(self.steps - rising, 1), 1.0)
        return self.highest * (_LAST + (1.0 - _LAST) * 0.5 * (1.0 + math.cos(math.pi * progress)))
