"""The merged tensors: computed one at a time, in float64, cast back once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from toolkit.declarations import MergeResult, TensorGroup
from toolkit.errors import IncompatibleModelsError, PluginError
from toolkit.merging.combine import combined, effective_number, only_ingredient, plain_mean
from toolkit.tensors import weighted_mean, weights_digest


def soup(*weights: float) -> MergeResult:
    return MergeResult(lambda group: weighted_mean(group.arrays, weights), weights)


def normalised(nets: Any, value: float, state: int = 0) -> Any:
    full = np.full(4, value, np.float32)
    return nets.network(
        nets.layer("input", "InputLayer"),
        nets.layer("norm", "BatchNormalization", ("input",), {"gamma": full, "moving_variance": full}),
        nets.layer("drop", "Dropout", ("norm",), {"seed_generator_state": np.asarray([state], np.uint32)}),
    )


def test_three_models_by_hand(nets: Any) -> None:
    models = nets.ingredients(*(normalised(nets, value, state=int(value)) for value in (1.0, 2.0, 6.0)))
    mean = combined(models, plain_mean(models), "mean").tensors
    assert mean.read("norm/gamma").tolist() == [3.0] * 4
    assert mean.read("norm/moving_variance").tolist() == [3.0] * 4
    assert mean.read("drop/seed_generator_state").tolist() == [1], "the first one's, never an average"
    weighted = combined(models, soup(0.5, 0.25, 0.25), "weighted").tensors
    assert weighted.read("norm/gamma").tolist() == [2.5] * 4
    assert weighted.read("norm/gamma").dtype == np.float32


def test_statistics_are_averaged_by_weight_whatever_the_strategy_does(nets: Any) -> None:
    models = nets.ingredients(normalised(nets, 1.0), normalised(nets, 3.0))
    seen: list[str] = []

    def odd(group: TensorGroup) -> Any:
        seen.append(group.name)
        return group.arrays[0] * 0.0

    tensors = combined(models, MergeResult(odd, (0.25, 0.75)), "odd").tensors
    assert tensors.read("norm/gamma").tolist() == [0.0] * 4
    assert tensors.read("norm/moving_variance").tolist() == [2.5] * 4
    assert seen == ["norm/gamma"]


@settings(deadline=None)
@given(
    st.integers(1, 6).flatmap(
        lambda count: st.tuples(
            arrays_of.arrays(
                np.float32,
                arrays_of.array_shapes(max_dims=2, max_side=6),
                elements=st.floats(allow_nan=False, allow_infinity=False, width=32),
            ),
            st.lists(st.floats(1e-3, 1.0), min_size=count, max_size=count),
        )
    )
)
def test_copies_merge_to_themselves_bit_for_bit(
    nets: Any, drawn: tuple[np.ndarray[Any, Any], list[float]]
) -> None:
    array, shares = drawn
    weights = tuple(share / sum(shares) for share in shares)
    model = nets.network(nets.layer("layer", "Dense", (), {"kernel": array, "moving_mean": array}))
    copies = nets.ingredients(*[model] * len(shares))
    for result in (plain_mean(copies), soup(*weights)):
        assert weights_digest(combined(copies, result, "soup").tensors) == weights_digest(model.tensors)


@settings(deadline=None)
@given(
    arrays_of.arrays(np.float32, (5, 3), elements=st.floats(-100, 100, width=32)),
    st.permutations(range(5)),
)
def test_the_mean_equals_that_of_float64_in_any_order(
    nets: Any, rows: np.ndarray[Any, Any], order: list[int]
) -> None:
    models = [nets.network(nets.layer("layer", "Dense", (), {"kernel": row})) for row in rows[order]]
    found = nets.ingredients(*models)
    merged = combined(found, plain_mean(found), "mean").tensors.read("layer/kernel")
    assert np.array_equal(merged, rows.mean(axis=0, dtype=np.float64).astype(np.float32))


def test_a_strategy_that_gives_nonsense_is_named(nets: Any) -> None:
    models = nets.ingredients(normalised(nets, 1.0), normalised(nets, 2.0))
    with pytest.raises(PluginError, match=r"strategy odd gave 2 weights with the sum 0\.5 for 2 ingredients"):
        combined(models, MergeResult(lambda group: group.arrays[0], (0.25, 0.25)), "odd")
    flat = MergeResult(lambda group: group.arrays[0][:1], (0.5, 0.5))
    with pytest.raises(PluginError, match=r"strategy odd made float32 \(1,\) of tensor norm/gamma"):
        combined(models, flat, "odd").tensors.read("norm/gamma")
    listed = MergeResult(lambda group: group.arrays[0].tolist(), (0.5, 0.5))
    with pytest.raises(
        PluginError, match="strategy odd made list of tensor norm/gamma, expected a NumPy array"
    ):
        combined(models, listed, "odd").tensors.read("norm/gamma")
    huge = MergeResult(lambda group: group.arrays[0].astype(np.float64) * 1e300, (0.5, 0.5))
    with pytest.raises(IncompatibleModelsError, match=r"norm/gamma that are NaN or beyond float32"):
        combined(models, huge, "odd").tensors.read("norm/gamma")


def test_integers_that_differ_are_refused_even_where_nobody_matched(nets: Any) -> None:
    def table(value: int) -> Any:
        return nets.network(nets.layer("lookup", "Lookup", (), {"table": np.asarray([value], np.int64)}))

    same = nets.ingredients(table(1), table(1))
    forced = (same[0], type(same[0])("z", table(2), None, "", 1))
    tensors = combined(forced, plain_mean(forced), "mean").tensors
    with pytest.raises(IncompatibleModelsError, match="z: the integers of lookup/table differ"):
        tensors.read("lookup/table")


def test_effective_number_and_single_ingredients() -> None:
    assert effective_number((0.25,) * 4) == pytest.approx(4.0)
    assert effective_number((1.0, 0.0)) == 1.0
    assert only_ingredient(soup(0.0, 1.0, 0.0)) == 1
    assert only_ingredient(soup(0.5, 0.5)) is None


MEMORY = """
import resource, sys
import numpy as np
from toolkit.merging.combine import combined, plain_mean
from toolkit.model import Card, Model
from toolkit.tensors import TensorRole, TensorSpec, Tensors
from toolkit.declarations import Ingredient

COUNT, LAYERS, SIZE = int(sys.argv[1]), 40, 1 << 20

class Made(Tensors):
    def __init__(self, seed):
        self.seed = seed
        self._specs = {f"l{i}/kernel": TensorSpec(f"l{i}/kernel", (SIZE,), np.dtype("f4"), TensorRole.KERNEL)
                       for i in range(LAYERS)}
    @property
    def specs(self):
        return self._specs
    def read(self, name):
        return np.full(SIZE, self.seed, np.float32)

nets = [Model(Made(i), Card(), None, (28, 28, 1), (62,)) for i in range(COUNT)]
models = [Ingredient(f"m{i}", net, None, str(i), i) for i, net in enumerate(nets)]
merged = combined(models, plain_mean(models), "mean").tensors
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in merged:
    assert merged.read(name)[0] == np.float32((COUNT - 1) / 2)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("count", [2, 8])
def test_memory_is_that_of_the_largest_tensor_once_an_ingredient_and_once_more(count: int) -> None:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(count)], capture_output=True, text=True, check=True, timeout=120
    )
    tensor, slack = 4 << 20, 8 << 20
    assert int(done.stdout) * 1024 <= (count + 1) * tensor + slack, "not 40 layers a model"
