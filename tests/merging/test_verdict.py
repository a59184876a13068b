"""Whether a merge helped, said in one sentence that holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.merging.scores import Answers, Score, compare, mcnemar
from toolkit.merging.verdict import judge, unmeasured


def answers(right: list[bool] | np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Answers:
    flags = np.asarray(right, dtype=np.bool_)
    accuracy = float(flags.mean())
    return Answers(Score("validation", len(flags), accuracy, accuracy, accuracy, 0.5), flags)


def first(count: int, of: int = 1000) -> Answers:
    """Right on the first ``count`` images."""
    return answers(np.arange(of) < count)


def test_better_beyond_chance() -> None:
    verdict = judge(first(900), {"a.h5": first(850), "b.h5": first(860)})
    assert (verdict.outcome, verdict.best, verdict.helped) == ("better", "b.h5", True)
    assert verdict.sentence == (
        "The merge is better than the best ingredient, b.h5: 90.00 % against 86.00 % "
        "on 1,000 validation images (+4.00 points)."
    )


def test_better_within_chance_is_said_to_be_so() -> None:
    verdict = judge(first(862), {"a.h5": first(860)})
    assert verdict.outcome == "perhaps better"
    assert verdict.sentence.endswith("(+0.20 points), which chance alone could explain (p = 0.50).")


def test_worse_is_said_plainly() -> None:
    verdict = judge(first(20), {"a.h5": first(860)})
    assert (verdict.outcome, verdict.helped) == ("worse", False)
    assert verdict.sentence == (
        "The merge is NOT better than the best ingredient, a.h5: 2.00 % against 86.00 % "
        "on 1,000 validation images (-84.00 points); use a.h5 instead."
    )


def test_equal_and_unchanged_and_unmeasured() -> None:
    assert judge(first(5), {"a": first(5)}).outcome == "equal"
    unchanged = judge(first(5), {"a": first(5)}, unchanged="a", because="a has all the weight")
    assert unchanged.outcome == "unchanged"
    assert unchanged.sentence == (
        "a has all the weight, so the result is a unchanged: 0.50 % on 1,000 validation images."
    )
    unknown = unmeasured("no data set, as asked for", statistics_averaged=True).sentence
    assert unknown == (
        "Not measured, so nobody knows whether this merge helped: no data set, as asked for. "
        "Its batch statistics were averaged, not recalibrated."
    )
    assert "recalibrated" not in unmeasured("no data set", statistics_averaged=False).sentence


def test_an_ingredient_handed_over_that_is_not_the_best_is_said_not_to_be() -> None:
    verdict = judge(
        first(850), {"a": first(850), "b": first(860)}, unchanged="a", because="a has all the weight"
    )
    assert verdict.outcome == "worse"
    assert verdict.sentence == (
        "a has all the weight, so the result is a unchanged, which is NOT better than the best ingredient, "
        "b: 85.00 % against 86.00 % on 1,000 validation images (-1.00 points)."
    )


def test_comparison_counts_images() -> None:
    found = compare(answers([True, True, False, False]), answers([True, False, True, True]))
    assert (found.gained, found.lost) == (1, 2)


@pytest.mark.parametrize(
    ("gained", "lost", "expected"),
    [(0, 0, 1.0), (5, 0, 0.0625), (1, 9, 0.021484375), (10, 10, 1.0), (8, 2, 0.109375)],
)
def test_mcnemar_against_the_binomial_by_hand(gained: int, lost: int, expected: float) -> None:
    assert mcnemar(gained, lost) == pytest.approx(expected, rel=1e-9)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_exact_binomial(gained: int, lost: int) -> None:
    total = gained + lost
    tail = sum(math.comb(total, k) for k in range(min(gained, lost) + 1)) / 2**total
    assert mcnemar(gained, lost) == pytest.approx(min(1.0, 2 * tail), rel=1e-9)
    assert mcnemar(gained, lost) == mcnemar(lost, gained)


def test_mcnemar_holds_for_many_images() -> None:
    assert mcnemar(50_500, 49_500) == pytest.approx(0.0016, abs=2e-4)
    assert mcnemar(100_000, 0) == 0.0
