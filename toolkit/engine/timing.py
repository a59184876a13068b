"""How long networks take, measured in turn."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from toolkit.engine.session import Session

SERVED_BATCHES = (1, 64)
"""A single image, as a server gets it, and a folder of them."""

_SECONDS = 0.4
_LEAST_ROUNDS, _MOST_ROUNDS = 7, 200


def seconds_per_run(sessions: Sequence[Session], inputs: NDArray[np.float32]) -> tuple[float, ...]:
    """The least time that each session takes for the inputs, (batch, *input_shape) float32.

    They run in turn, so that other programs slow down all alike; the least of many times is taken because
    other programs can only add to it.
    """
    best = [float("inf")] * len(sessions)
    for session in sessions:
        session.run({session.inputs[0]: inputs})  # the first run also prepares
    started = time.perf_counter()
    for done in range(_MOST_ROUNDS):
        if done >= _LEAST_ROUNDS and time.perf_counter() - started > _SECONDS * len(sessions):
            break
        for index, session in enumerate(sessions):
            before = time.perf_counter()
            session.run({session.inputs[0]: inputs})
            best[index] = min(best[index], time.perf_counter() - before)
    return tuple(best)
