from __future__ import annotations

import pytest

from toolkit.training.schedule import WarmupCosine


def test_rises_to_the_highest_rate_and_ends_near_nothing() -> None:
    schedule = WarmupCosine(0.1, 200, 0.1)
    rates = [schedule.rate(step) for step in range(200)]
    assert max(rates) == pytest.approx(0.1)
    assert rates.index(max(rates)) == 20
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert rates[-1] < 0.001


def test_steps_behind_the_plan_have_the_last_rate() -> None:
    schedule = WarmupCosine(0.1, 10, 0.0)
    assert schedule.rate(10) == schedule.rate(1000) == pytest.approx(0.0001)


@pytest.mark.parametrize("warmup", [0.0, 0.15, 0.9])
def test_one_step_has_a_rate(warmup: float) -> None:
    assert 0 < WarmupCosine(0.1, 1, warmup).rate(0) <= 0.1
