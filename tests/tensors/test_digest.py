"""The weights digest, and recording it while tensors are written."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit.tensors import ArrayTensors, RecordedTensors, TensorRole, weights_digest

KERNEL = np.arange(6, dtype=np.float32).reshape(2, 3)
BIAS = np.ones(3, np.float32)


class Counted(ArrayTensors):
    """Counts how often each tensor is read."""

    def __init__(self, arrays: dict[str, tuple[NDArray[Any], TensorRole]]) -> None:
        super().__init__(arrays)
        self.reads: Counter[str] = Counter()

    def read(self, name: str) -> NDArray[Any]:
        self.reads[name] += 1
        return super().read(name)


def made(**changed: NDArray[Any]) -> Counted:
    arrays = {"kernel": KERNEL, "bias": BIAS, "state": np.zeros(2, np.uint32)} | changed
    roles = {"kernel": TensorRole.KERNEL, "bias": TensorRole.BIAS, "state": TensorRole.GENERATOR_STATE}
    return Counted({name: (array, roles[name]) for name, array in arrays.items()})


def test_a_digest_recorded_while_writing_reads_no_tensor_twice() -> None:
    tensors = made()
    recorded = RecordedTensors(tensors)
    for name in recorded.specs:
        recorded.read(name)
    assert recorded.weights_digest() == weights_digest(made())
    assert set(tensors.reads.values()) == {1}


def test_a_tensor_that_the_writer_did_not_read_still_counts() -> None:
    tensors = made()
    recorded = RecordedTensors(tensors)
    recorded.read("kernel")
    assert recorded.weights_digest() == weights_digest(made())
    assert tensors.reads == {"kernel": 1, "bias": 1}


@pytest.mark.parametrize(
    "changed",
    [
        {"bias": BIAS * 2},
        {"bias": BIAS.astype(np.float64)},
        {"kernel": KERNEL.reshape(3, 2)},
        {"kernel": KERNEL[::-1]},
    ],
    ids=["values", "type", "shape", "order"],
)
def test_the_digest_depends_on_values_types_and_shapes(changed: dict[str, NDArray[Any]]) -> None:
    assert weights_digest(made(**changed)) != weights_digest(made())


def test_the_digest_ignores_byte_order_layer_order_and_generator_states() -> None:
    other = Counted(
        {
            "state": (np.ones(2, np.uint32), TensorRole.GENERATOR_STATE),
            "bias": (BIAS.astype(">f4").astype("<f4"), TensorRole.BIAS),
            "kernel": (np.asfortranarray(KERNEL), TensorRole.KERNEL),
        }
    )
    assert weights_digest(other) == weights_digest(made())
