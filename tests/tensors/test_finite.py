"""NaN and infinite values: named with their tensor when it is read."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import UnreadableInputError
from toolkit.tensors import ArrayTensors, FiniteTensors, TensorRole, not_finite


def tensors(bad: float) -> ArrayTensors:
    broken = np.ones((3, 4), np.float32)
    broken[1, :2] = bad
    return ArrayTensors(
        {
            "conv/kernel": (np.ones((2, 2), np.float32), TensorRole.KERNEL),
            "dense/bias": (broken, TensorRole.BIAS),
            "drop/state": (np.array([1, 2]), TensorRole.GENERATOR_STATE),
        }
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_names_file_tensor_and_count(bad: float) -> None:
    checked = FiniteTensors(tensors(bad), "x.h5")
    assert checked.read("conv/kernel").sum() == 4
    assert checked.read("drop/state").tolist() == [1, 2]
    with pytest.raises(UnreadableInputError) as caught:
        checked.read("dense/bias")
    assert caught.value.message == "x.h5: tensor dense/bias has 2 values that are NaN or infinite"


def test_they_are_counted() -> None:
    assert not_finite(tensors(np.inf)) == {"dense/bias": 2}
    assert not_finite(tensors(3e38)) == {}  # whose sum is infinite
