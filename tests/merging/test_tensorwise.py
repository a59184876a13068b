"""The merged tensors: computed one at a time, in float64, cast back once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from toolkit.declarations import Ingredient, tensorwise
from toolkit.errors import IncompatibleModelsError, PluginError
from toolkit.tensors import Tensors, TensorSpec, weighted_mean, weights_digest

Arrays = tuple[np.ndarray[Any, Any], ...]


def soup(models: Sequence[Ingredient], *shares: float) -> Tensors:
    shares = shares or (1 / len(models),) * len(models)
    return tensorwise(
        models, lambda arrays, _: weighted_mean(arrays, shares), shares=shares, elementwise=True
    ).tensors


def normalised(nets: Any, value: float, state: int = 0) -> Any:
    full = np.full(4, value, np.float32)
    return nets.network(
        nets.layer("input", "InputLayer"),
        nets.layer("norm", "BatchNormalization", ("input",), {"gamma": full, "moving_variance": full}),
        nets.layer("drop", "Dropout", ("norm",), {"seed_generator_state": np.asarray([state], np.uint32)}),
    )


def test_three_models_by_hand(nets: Any) -> None:
    models = nets.ingredients(*(normalised(nets, value, state=int(value)) for value in (1.0, 2.0, 6.0)))
    mean = soup(models)
    assert mean.read("norm/gamma").tolist() == [3.0] * 4
    assert mean.read("norm/moving_variance").tolist() == [3.0] * 4
    assert mean.read("drop/seed_generator_state").tolist() == [1], "the first one's, never an average"
    weighted = soup(models, 0.5, 0.25, 0.25)
    assert weighted.read("norm/gamma").tolist() == [2.5] * 4
    assert weighted.read("norm/gamma").dtype == np.float32


def test_statistics_are_averaged_by_share_whatever_the_function_does(nets: Any) -> None:
    models = nets.ingredients(normalised(nets, 1.0), normalised(nets, 3.0))
    seen: list[str] = []

    def odd(arrays: Arrays, spec: TensorSpec) -> Any:
        seen.append(spec.name)
        return arrays[0] * 0.0

    tensors = tensorwise(models, odd, shares=(0.25, 0.75)).tensors
    assert tensors.read("norm/gamma").tolist() == [0.0] * 4
    assert tensors.read("norm/moving_variance").tolist() == [2.5] * 4
    assert tensorwise(models, odd).tensors.read("norm/moving_variance").tolist() == [2.0] * 4
    assert seen == ["norm/gamma"]


def test_an_elementwise_function_gets_blocks(nets: Any) -> None:
    size = (1 << 18) + 5
    rows = [np.arange(size, dtype=np.float32).reshape(1, -1) + offset for offset in (0, 2)]
    models = nets.ingredients(
        *(nets.network(nets.layer("layer", "Dense", (), {"kernel": row})) for row in rows)
    )
    shapes: list[tuple[int, ...]] = []

    def mean(arrays: Arrays, _: TensorSpec) -> Any:
        shapes.append(arrays[0].shape)
        return np.mean(arrays, axis=0, dtype=np.float64)

    merged = tensorwise(models, mean, elementwise=True).tensors.read("layer/kernel")
    assert np.array_equal(merged, rows[0] + 1)
    assert shapes == [(1 << 15,)] * 8 + [(5,)]


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
    for tensors in (soup(copies), soup(copies, *weights)):
        assert weights_digest(tensors) == weights_digest(model.tensors)


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
    merged = soup(found).read("layer/kernel")
    assert np.array_equal(merged, rows.mean(axis=0, dtype=np.float64).astype(np.float32))


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (
            lambda arrays, _: arrays[0][:1],
            PluginError,
            r"float32 \(1,\) for tensor norm/gamma, expected float64 or",
        ),
        (lambda arrays, _: arrays[0].astype(np.float16), PluginError, "float16"),
        (lambda arrays, _: arrays[0].tolist(), PluginError, "returned list for tensor norm/gamma"),
        (
            lambda arrays, _: arrays[0].astype(np.float64) * 1e300,
            IncompatibleModelsError,
            "norm/gamma values that are NaN or too large for float32",
        ),
    ],
)
def test_a_function_that_returns_nonsense_is_refused(
    nets: Any, function: Any, kind: type[Exception], message: str
) -> None:
    models = nets.ingredients(normalised(nets, 1.0), normalised(nets, 2.0))
    with pytest.raises(kind, match=message):
        tensorwise(models, function).tensors.read("norm/gamma")


@pytest.mark.parametrize("shares", [(0.25, 0.25), (1.0,), (float("nan"), 1.0)])
def test_shares_that_do_not_fit_are_refused(nets: Any, shares: tuple[float, ...]) -> None:
    models = nets.ingredients(normalised(nets, 1.0), normalised(nets, 2.0))
    with pytest.raises(PluginError, match="shares with the sum"):
        tensorwise(models, lambda arrays, _: arrays[0], shares=shares)


def test_integers_that_differ_are_refused(nets: Any) -> None:
    def table(value: int) -> Any:
        return nets.network(nets.layer("lookup", "Lookup", (), {"table": np.asarray([value], np.int64)}))

    same = nets.ingredients(table(1), table(1))
    forced = (same[0], Ingredient("z", table(2), None, "", 1))
    with pytest.raises(IncompatibleModelsError, match="z: the integers of lookup/table differ"):
        soup(forced).read("lookup/table")


MEMORY = """
import resource, sys
import numpy as np
from toolkit.model import Card, Model
from toolkit.tensors import TensorRole, TensorSpec, Tensors, weighted_mean
from toolkit.declarations import Ingredient, tensorwise

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
mean = lambda arrays, _: weighted_mean(arrays, [1 / COUNT] * COUNT)
merged = tensorwise(models, mean, elementwise=True).tensors
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
