"""From a stored tensor to an initializer, and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolkit.graph import Permute, Rearrangement, Reshape, Take


@st.composite
def cases(draw: st.DrawFn) -> tuple[tuple[int, ...], Rearrangement]:
    """A shape, and a rearrangement of one to four steps that fits it."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    stored, steps = shape, []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from([Permute, Reshape, Take]))
        count = draw(st.integers(1, len(shape)))
        step: Any
        if kind is Permute:
            step = Permute(tuple(draw(st.permutations(range(count)))))
        elif kind is Take:
            step = Take(tuple(draw(st.permutations(range(shape[0])))))
        else:
            size = math.prod(shape[:count])
            first = draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0]))
            step = Reshape(shape[:count], (first, size // first))
        steps.append(step)
        shape = step.apply(np.empty(shape)).shape
    return stored, Rearrangement(tuple(steps))


@given(cases())
def test_the_inverse_restores_the_tensor_and_the_initializer(
    case: tuple[tuple[int, ...], Rearrangement],
) -> None:
    shape, rearrangement = case
    stored = np.arange(math.prod(shape)).reshape(shape)
    initializer = rearrangement.apply(stored)
    assert initializer.shape == rearrangement.shape(shape)
    assert sorted(initializer.ravel()) == sorted(stored.ravel())
    assert np.array_equal(rearrangement.inverse(initializer), stored)
    assert np.array_equal(rearrangement.apply(rearrangement.inverse(initializer)), initializer)


def test_a_kernel_with_channels_last_becomes_one_with_channels_first() -> None:
    kernel = np.arange(3 * 3 * 2 * 4).reshape(3, 3, 2, 4)
    assert np.array_equal(
        Rearrangement((Permute((3, 2, 0, 1)),)).apply(kernel), np.moveaxis(kernel, (3, 2), (0, 1))
    )


def test_the_order_of_a_flattened_map_applies_to_vectors_and_to_rows_of_a_kernel() -> None:
    order = Rearrangement((Reshape((12,), (2, 2, 3)), Permute((2, 0, 1)), Reshape((3, 2, 2), (12,))))
    vector = np.arange(12)
    rows = vector[:, np.newaxis] * np.ones((1, 5), int)
    assert np.array_equal(order.apply(rows)[:, 0], order.apply(vector))
    assert order.apply(vector).tolist() == [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]


def test_rearrangements_are_compared_by_their_steps() -> None:
    assert Rearrangement((*Rearrangement().steps, Permute((1, 0)))) == Rearrangement((Permute((1, 0)),))
    assert Rearrangement() != Rearrangement((Permute((1, 0)),))
