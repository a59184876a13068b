"""The usual orders of classes, and orders that are found."""

from __future__ import annotations

import itertools
import string

import numpy as np
import pytest
from template_readers import CHARACTERS

from toolkit.engine.class_orders import ClassOrder, assignment, found_order, known_orders

DIGITS, CAPITALS, SMALL = string.digits, string.ascii_uppercase, string.ascii_lowercase
MERGED = "abdefghnqrt"


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (10, DIGITS),
        (26, CAPITALS),
        (26, SMALL),
        (36, DIGITS + CAPITALS),
        (36, CAPITALS + DIGITS),
        (47, DIGITS + CAPITALS + MERGED),
        (52, CAPITALS + SMALL),
        (52, SMALL + CAPITALS),
        (62, DIGITS + CAPITALS + SMALL),
        (62, DIGITS + SMALL + CAPITALS),
        (62, CAPITALS + SMALL + DIGITS),
        (62, DIGITS + "".join(big + small for big, small in zip(CAPITALS, SMALL, strict=True))),
    ],
)
def test_the_usual_orders_of_a_number_of_outputs(outputs: int, expected: str) -> None:
    orders = known_orders(outputs, CHARACTERS)
    assert tuple(expected) in {order.classes for order in orders}
    assert all(len(order.classes) == outputs for order in orders)


def test_27_outputs_are_letters_with_one_output_unused() -> None:
    classes = [order.classes for order in known_orders(27, CHARACTERS)]
    assert ("", *CAPITALS) in classes
    assert (*CAPITALS, "") in classes


def test_labels_may_have_been_sorted_as_text() -> None:
    assert tuple("0123456789"[int(label)] for label in sorted(map(str, range(10)))) == tuple(DIGITS)
    by_text = tuple(CAPITALS[int(label)] for label in sorted(map(str, range(26))))
    assert by_text[:4] == ("A", "B", "K", "L")
    assert by_text in {order.classes for order in known_orders(26, CHARACTERS)}


def test_the_data_sets_own_order_comes_first() -> None:
    own = tuple("ZYXWVUTSRQPONMLKJIHGFEDCBA")
    first, *others = known_orders(26, own)
    assert first.classes == own
    assert tuple(CAPITALS) in {order.classes for order in others}


def test_orders_need_images_of_their_classes() -> None:
    assert known_orders(26, tuple(DIGITS)) == ()
    assert known_orders(4, ("a", "b", "c", "d"))[0].classes == ("a", "b", "c", "d")


def test_the_other_case_counts_only_for_a_letter_in_one_case() -> None:
    both = ClassOrder(("A", "B", "b"), "")
    np.testing.assert_array_equal(both.outputs(["a", "A", "b", "B", "c"]), [0, 0, 2, 1, -1])
    alone = ClassOrder(("A", "B", "b"), "", both_cases=False)
    np.testing.assert_array_equal(alone.outputs(["a", "A", "b", "B", ""]), [-1, 0, 2, 1, -1])


def test_an_order_is_found_from_answers() -> None:
    chance = np.random.default_rng(0)
    truth = np.arange(300, dtype=np.int32) % 5
    output = np.array([3, 1, 4, 0, 5])[truth]
    answers = np.where(chance.random(300) < 0.3, chance.integers(0, 6, 300), output)
    order = found_order(answers, truth, 6, ["a", "b", "c", "d", "e"], both_cases=False)
    assert order.classes == ("d", "b", "", "a", "c", "e")
    cases = found_order(truth % 2, truth % 2, 2, ["A", "a"], both_cases=True)
    assert cases.classes.count("A") == 1


def test_an_assignment_is_the_best_of_all() -> None:
    chance = np.random.default_rng(0)
    for _ in range(60):
        gains = chance.integers(0, 9, chance.integers(1, 6, 2))
        rows, columns = gains.shape
        pairs = min(rows, columns)
        found = assignment(gains)
        chosen = [(row, column) for row, column in enumerate(found) if column >= 0]
        assert len({column for _, column in chosen}) == len(chosen) == pairs
        best = max(
            sum(int(gains[row, column]) for row, column in zip(some, others, strict=True))
            for some in itertools.combinations(range(rows), pairs)
            for others in itertools.permutations(range(columns), pairs)
        )
        assert sum(int(gains[pair]) for pair in chosen) == best
