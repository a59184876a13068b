"""Whether a merge helped, said in one sentence that holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.engine import Evaluation
from toolkit.merging.verdict import best_of, compare, judge, mcnemar, unmeasured


def answers(right: list[bool] | np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Evaluation:
    flags = np.asarray(right, dtype=np.bool_)
    accuracy = float(flags.mean())
    confusion = np.zeros((2, 2), dtype=np.int64)
    return Evaluation(len(flags), accuracy, accuracy, accuracy, 0.5, confusion, flags)


def first(count: int, of: int = 1000) -> Evaluation:
    """Right on the first ``count`` images."""
    return answers(np.arange(of) < count)


def test_a_significant_gain() -> None:
    verdict = judge(first(900), first(860), "b.h5", "validation")
    assert (verdict.outcome, verdict.best, "better" in verdict.outcome, verdict.hurt) == (
        "better",
        "b.h5",
        True,
        False,
    )
    assert verdict.sentence == (
        "The merge is better than the best ingredient, b.h5: 90.00 % against 86.00 % "
        "on 1,000 validation images (+4.00 points, p < 0.001)."
    )


def test_a_gain_that_is_not_significant() -> None:
    verdict = judge(first(862), first(860), "a.h5", "validation")
    assert verdict.outcome == "perhaps better"
    assert verdict.sentence.endswith("(+0.20 points, not significant, p = 0.50).")


def test_losses_have_p_values_as_gains_have() -> None:
    verdict = judge(first(20), first(860), "a.h5", "test")
    assert (verdict.outcome, verdict.hurt) == ("worse", True)
    assert verdict.sentence == (
        "The merge is NOT better than the best ingredient, a.h5: 2.00 % against 86.00 % "
        "on 1,000 test images (-84.00 points, p < 0.001)."
    )
    slightly = judge(first(858), first(860), "a.h5", "validation")
    assert (slightly.outcome, slightly.hurt) == ("perhaps worse", True)
    assert slightly.sentence.endswith("(-0.20 points, not significant, p = 0.50).")


def test_the_opponent_is_the_first_of_the_best_on_validation() -> None:
    assert best_of({"a": first(850), "b": first(860), "c": first(860)}) == "b"


def test_equal_and_unchanged_and_unmeasured() -> None:
    assert judge(first(5), first(5), "a", "validation").outcome == "equal"
    unchanged = judge(first(5), first(5), "a", "validation", unchanged="a")
    assert unchanged.outcome == "unchanged"
    assert unchanged.sentence == "The result is a unchanged: 0.50 % on 1,000 validation images."
    unknown = unmeasured("no data set, as asked for").sentence
    assert unknown == "Not measured, so it is unknown whether this merge helped: no data set, as asked for."


def test_an_unchanged_ingredient_that_is_not_the_best() -> None:
    verdict = judge(first(850), first(860), "b", "validation", unchanged="a")
    assert verdict.outcome == "worse"
    assert verdict.sentence == (
        "The result is a unchanged, which is NOT better than the best ingredient, "
        "b: 85.00 % against 86.00 % on 1,000 validation images (-1.00 points, p = 0.002)."
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


def test_no_merge_is_better_while_an_input_format_is_in_doubt() -> None:
    doubts = ["b.h5 reads 19.47 % as upright/unit/light, 99.80 % as upright/raw/light: use --convention"]
    for count in (900, 861, 860):
        verdict = judge(first(count), first(860), "a.h5", "validation", doubts=doubts)
        assert (verdict.outcome, verdict.hurt) == ("in doubt", False)
        assert verdict.sentence.startswith(f"In doubt whether the merge helped: {doubts[0]}. It scores ")
    worse = judge(first(800), first(860), "a.h5", "validation", doubts=doubts)
    assert worse.outcome == "worse"
    assert doubts[0] in worse.sentence
    same = judge(first(860), first(860), "a.h5", "validation", unchanged="a.h5", doubts=doubts)
    assert same.outcome == "unchanged"
