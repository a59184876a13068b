"""The learning rate over a training."""

from __future__ import annotations

import math

_FIRST = 0.05
_LAST = 0.001


def learning_rate(step: int, steps: int, *, highest: float, warmup: float) -> float:
    """A linear rise over the ``warmup`` share of all steps, then half a cosine down to nearly zero.

    ``step`` counts from 0; steps after the last one have its rate. Loshchilov and Hutter, "SGDR:
    Stochastic Gradient Descent with Warm Restarts", 2017, without the restarts.
    """
    rising = int(steps * warmup)
    if step < rising:
        return highest * (_FIRST + (1.0 - _FIRST) * step / rising)
    progress = min((step - rising) / max(steps - rising, 1), 1.0)
    return highest * (_LAST + (1.0 - _LAST) * 0.5 * (1.0 + math.cos(math.pi * progress)))
