"""Networks are timed in turn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from toolkit.engine import seconds_per_run


def worker(work: int) -> Any:
    return cast(Any, SimpleNamespace(inputs=("x",), run=lambda _: sum(range(work))))


def test_the_faster_of_two_is_found_to_be_faster() -> None:
    quick, slow = seconds_per_run([worker(10), worker(100_000)], np.zeros((1, 1), np.float32))
    assert quick < slow
