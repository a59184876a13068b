"""The strategies mean, weighted and greedy, by hand and against an exhaustive search."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit_soups
from toolkit.declarations import (
    Ingredient,
    MergeRequest,
    MergeResult,
    MergeStep,
    MergeStrategy,
    Need,
)
from toolkit.errors import UsageError
from toolkit.model import Card, Model
from toolkit.tensors import ArrayTensors, TensorRole
from toolkit_soups import GreedyOptions, WeightedOptions

STRATEGIES = {strategy.name: strategy for strategy in toolkit_soups.toolkit_merge_strategies()}


def ingredient(name: str, values: Sequence[float], accuracy: float | None, position: int = 0) -> Ingredient:
    array = np.asarray(values, np.float32)

    def no_graph() -> Any:
        raise AssertionError("a strategy runs no network")

    tensors = ArrayTensors({"layer/kernel": (array, TensorRole.KERNEL)})
    return Ingredient(name, Model(tensors, Card(), no_graph, (28, 28, 1), (4,)), accuracy, name, position)


def request(
    ingredients: Sequence[Ingredient],
    options: Any = None,
    evaluate: Callable[[Model], float] | None = None,
) -> MergeRequest:
    return MergeRequest(tuple(ingredients), options, evaluate=evaluate)


def merged(result: MergeResult) -> np.ndarray[Any, Any]:
    return result.model.tensors.read("layer/kernel")


THREE = (
    ingredient("a", [3.0, 0.0], 0.85, 0),
    ingredient("b", [0.0, 6.0], 0.65, 1),
    ingredient("c", [9.0, 0.0], 0.45, 2),
)


def test_the_declarations() -> None:
    assert list(STRATEGIES) == ["mean", "weighted", "greedy"]
    assert STRATEGIES["greedy"].needs_with(GreedyOptions()) == {Need.SCORES, Need.EVALUATOR}


def test_mean_by_hand() -> None:
    result = STRATEGIES["mean"].merge(request(THREE))
    assert merged(result).tolist() == [4.0, 2.0]
    assert result.shares == (1 / 3, 1 / 3, 1 / 3)


def test_weighted_by_hand() -> None:
    result = STRATEGIES["weighted"].merge(request(THREE, WeightedOptions()))
    # Above chance, 0.25: 0.6, 0.4 and 0.2 of 1.2.
    assert result.shares == pytest.approx((3 / 6, 2 / 6, 1 / 6))
    assert merged(result) == pytest.approx(np.asarray([3.0, 2.0]))
    assert "effective number of models: 2.57 of 3 (1/Σw²)" in result.notes


def test_weighted_with_power_and_floor_by_hand() -> None:
    result = STRATEGIES["weighted"].merge(request(THREE, WeightedOptions(power=2.0, floor=0.45)))
    assert result.shares == pytest.approx((4 / 5, 1 / 5, 0.0))
    assert result.notes[0] == "c is not above the floor of 45.00 %: weight 0"


def test_accuracies_that_are_close_are_said_to_be_nearly_the_mean() -> None:
    close = [ingredient("a", [0.0], 0.874), ingredient("b", [0.0], 0.871)]
    notes = STRATEGIES["weighted"].merge(request(close, WeightedOptions())).notes
    assert (
        notes[-1] == "these accuracies are so close that the result is nearly the plain mean; raise -o power"
    )


def test_weights_of_ones_own_follow_the_order_of_listing() -> None:
    shuffled = (THREE[2], THREE[0], THREE[1])
    result = STRATEGIES["weighted"].merge(request(shuffled, WeightedOptions(weights=(2.0, 1.0, 1.0))))
    assert result.shares == (0.25, 0.5, 0.25)
    assert result.notes[0] == "the weights sum to 4: divided by that"


def test_needs_of_weighted_depend_on_its_options() -> None:
    weighted = STRATEGIES["weighted"]
    assert weighted.needs_with(WeightedOptions()) == {Need.SCORES}
    assert weighted.needs_with(WeightedOptions(weights=(1.0, 1.0))) == frozenset()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (WeightedOptions(weights=(1.0,)), "option weights has 1 values for 3 models"),
        (WeightedOptions(weights=(0.0, 0.0, 0.0)), "option weights has no value above 0"),
        (WeightedOptions(floor=0.9), r"no ingredient's validation accuracy is above the floor of 90\.00 %"),
    ],
)
def test_weights_that_cannot_be(options: WeightedOptions, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        STRATEGIES["weighted"].merge(request(THREE, options))


@settings(deadline=None)
@given(
    st.lists(st.floats(0.26, 1.0), min_size=2, max_size=8),
    st.floats(0.0, 100.0),
)
def test_weights_sum_to_one_and_follow_accuracy(accuracies: list[float], power: float) -> None:
    found = [ingredient(str(place), [0.0], accuracy) for place, accuracy in enumerate(accuracies)]
    weights = STRATEGIES["weighted"].merge(request(found, WeightedOptions(power=power))).shares
    assert sum(weights) == pytest.approx(1.0, abs=1e-12)
    ranked = sorted(zip(accuracies, weights, strict=True))
    assert all(low[1] <= high[1] * (1 + 1e-9) for low, high in itertools.pairwise(ranked))


# --- greedy --------------------------------------------------------------------------------


class Judge:
    """Scores soups by how near they come to a target, and counts how often it is asked."""

    def __init__(self, ingredients: Sequence[Ingredient], target: Sequence[float]) -> None:
        self.ingredients, self.target, self.asked = ingredients, np.asarray(target), 0

    def __call__(self, candidate: Model) -> float:
        self.asked += 1
        return self.of(candidate.tensors.read("layer/kernel"))

    def of(self, values: np.ndarray[Any, Any]) -> float:
        return float(1.0 / (1.0 + np.linalg.norm(values - self.target)))


def family(points: Sequence[Sequence[float]], target: Sequence[float]) -> tuple[list[Ingredient], Judge]:
    """Ingredients whose validation accuracies are what the judge gives them alone."""
    judge = Judge((), target)
    found = [
        ingredient(chr(97 + place), point, judge.of(np.asarray(point, np.float32)), place)
        for place, point in enumerate(points)
    ]
    return found, Judge(found, target)


def greedy(
    points: Sequence[Sequence[float]], target: Sequence[float], **options: Any
) -> tuple[MergeResult, Judge]:
    found, judge = family(points, target)
    return STRATEGIES["greedy"].merge(request(found, GreedyOptions(**options), judge)), judge


def test_greedy_by_hand() -> None:
    # b alone is nearest to 0; with a the mean is -0.5, worse; with c it is 0.5, also worse … but
    # from b = 1 on, a = -2 brings the mean to -0.5: better. c = 4 then brings it to 1: worse.
    result, judge = greedy([[-2.0], [1.0], [4.0]], [0.0])
    assert result.shares == (0.5, 0.5, 0.0)
    assert result.steps == (
        MergeStep("b", 0.5, accepted=True),
        MergeStep("a", 1 / 1.5, accepted=True),
        MergeStep("c", 0.5, accepted=False),
    )
    assert judge.asked == 3


def test_greedy_keeps_the_best_alone_where_nothing_helps() -> None:
    result, _ = greedy([[0.0], [5.0], [9.0]], [0.0])
    assert result.shares == (1.0, 0.0, 0.0)
    assert result.unchanged == "a"
    assert result.notes == ("no mean with another ingredient scored better than a alone",)


@pytest.mark.parametrize(("tie", "weights"), [("strict", (1.0, 0.0)), ("accept-equal", (0.5, 0.5))])
def test_an_equal_score_is_kept_only_if_asked_for(tie: str, weights: tuple[float, ...]) -> None:
    result, _ = greedy([[1.0], [-3.0]], [0.0], tie=tie)  # the mean, -1, is as far away as 1
    assert result.shares == weights


def test_a_gain_that_is_too_small_is_not_kept() -> None:
    points = [[1.0], [-2.0]]  # 0.5 rises to 0.667
    assert greedy(points, [0.0], min_gain=0.1)[0].shares == (0.5, 0.5)
    assert greedy(points, [0.0], min_gain=0.2)[0].shares == (1.0, 0.0)


def test_a_second_pass_tries_again_what_was_left_out() -> None:
    points = [[3.0], [4.0], [-7.0]]  # 4 helps only after -7 has come in
    assert greedy(points, [0.0], passes=1)[0].shares == (0.5, 0.0, 0.5)
    result, _ = greedy(points, [0.0], passes=3)
    assert result.shares == pytest.approx((1 / 3, 1 / 3, 1 / 3))


def test_replacement_weighs_an_ingredient_twice() -> None:
    points = [[1.0], [-2.0]]  # 2:1 is the target exactly
    result, _ = greedy(points, [0.0], passes=3, replacement=True)
    assert result.shares == pytest.approx((2 / 3, 1 / 3))


def test_a_soup_is_never_scored_twice() -> None:
    _, judge = greedy([[1.0], [-2.0], [5.0]], [0.0], passes=50, replacement=True)
    assert judge.asked < 10


def test_greedy_without_images_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="--dataset"):
        STRATEGIES["greedy"].merge(request(THREE, GreedyOptions()))


POINTS = st.lists(
    st.tuples(st.integers(-8, 8), st.integers(-8, 8)).map(lambda pair: [float(value) for value in pair]),
    min_size=2,
    max_size=6,
)


@settings(deadline=None)
@given(POINTS, st.sampled_from(["strict", "accept-equal"]), st.integers(1, 3), st.booleans())
def test_greedy_never_ends_below_the_best_ingredient(
    points: list[list[float]], tie: str, passes: int, replacement: bool
) -> None:
    result, judge = greedy(points, [0.0, 0.0], tie=tie, passes=passes, replacement=replacement)
    assert judge(result.model) >= max(item.validation_accuracy or 0.0 for item in judge.ingredients) - 1e-12
    assert sum(result.shares) == pytest.approx(1.0, abs=1e-12)


@settings(deadline=None)
@given(POINTS)
def test_greedy_is_the_published_algorithm(points: list[list[float]]) -> None:
    """Against the few lines of Wortsman et al.'s recipe 1, written out over all prefixes."""
    result, judge = greedy(points, [0.0, 0.0])
    order = sorted(range(len(points)), key=lambda place: -judge.of(np.asarray(points[place], np.float32)))
    kept = [order[0]]
    for place in order[1:]:
        with_it = np.mean([points[one] for one in [*kept, place]], axis=0, dtype=np.float64)
        without = np.mean([points[one] for one in kept], axis=0, dtype=np.float64)
        if judge.of(np.asarray(with_it, np.float32)) > judge.of(np.asarray(without, np.float32)):
            kept.append(place)
    assert [place for place, weight in enumerate(result.shares) if weight] == sorted(kept)


def test_greedy_equals_an_exhaustive_search_on_a_small_family() -> None:
    """Four relatives, each off in a direction of its own, and an unrelated one: of all 31 means the best."""
    points = [*(np.eye(4) * [[1.0], [1.1], [1.2], [1.3]]).tolist(), [9.0, -9.0, 9.0, 9.0]]
    result, judge = greedy(points, [0.0] * 4)
    sizes = range(1, len(points) + 1)
    every = [subset for size in sizes for subset in itertools.combinations(range(len(points)), size)]
    means = {subset: np.mean([points[one] for one in subset], axis=0) for subset in every}
    best = max(every, key=lambda subset: judge.of(means[subset]))
    assert [place for place, weight in enumerate(result.shares) if weight] == list(best)
    assert (len(every), best) == (31, (0, 1, 2, 3))


def test_the_listing_order_changes_nothing() -> None:
    points = [[1.0], [-2.0], [4.0]]
    found, _ = family(points, [0.0])
    shares = []
    for order in itertools.permutations(found):
        result = STRATEGIES["greedy"].merge(request(order, GreedyOptions(), Judge(order, [0.0])))
        shares.append(sorted(zip([item.name for item in order], result.shares, strict=True)))
    assert all(share == shares[0] for share in shares)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=list(STRATEGIES))
def test_copies_merge_to_themselves(strategy: MergeStrategy) -> None:
    copies = [
        dataclasses.replace(
            ingredient(str(place), [0.1, -0.0, 1e-40], 0.9, place), copy_of="0" if place else ""
        )
        for place in range(3)
    ]
    options = strategy.options()
    result = strategy.merge(request(copies, options, lambda _: 0.9))
    assert result.unchanged == "0"
    assert merged(result).tobytes() == copies[0].model.tensors.read("layer/kernel").tobytes()
