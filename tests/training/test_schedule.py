from __future__ import annotations

import pytest

from toolkit.training.schedule import learning_rate


def test_rises_to_the_highest_rate_and_ends_near_nothing() -> None:
    rates = [learning_rate(step, 200, highest=0.1, warmup=0.1) for step in range(200)]
    assert max(rates) == pytest.approx(0.1)
    assert rates.index(max(rates)) == 20
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert rates[-1] < 0.001


@pytest.mark.parametrize("step", [10, 1000])
def test_steps_after_the_last_one_have_its_rate(step: int) -> None:
    assert learning_rate(step, 10, highest=0.1, warmup=0.0) == pytest.approx(0.0001)


@pytest.mark.parametrize("warmup", [0.0, 0.15, 0.9])
def test_one_step_has_a_rate(warmup: float) -> None:
    assert 0 < learning_rate(0, 1, highest=0.1, warmup=warmup) <= 0.1
