"""What every merge strategy must do, tried out on models of a few numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.declarations import Ingredient, MergeRequest, MergeResult, MergeStrategy, Need, TensorGroup
from toolkit.errors import UnsupportedError, one_line
from toolkit.graph import Graph
from toolkit.model import Card, Model
from toolkit.tensors import ArrayTensors, TensorRole, TensorSpec, weights_digest

CLASSES = 3

_SHAPES: dict[str, tuple[tuple[int, ...], TensorRole]] = {
    "conv/kernel": ((3, 3, 1, 4), TensorRole.KERNEL),
    "conv/bias": ((4,), TensorRole.BIAS),
    "norm/gamma": ((4,), TensorRole.SCALE),
    "norm/beta": ((4,), TensorRole.SHIFT),
    "norm/moving_mean": ((4,), TensorRole.RUNNING_MEAN),
    "norm/moving_variance": ((4,), TensorRole.RUNNING_VARIANCE),
    "dense/kernel": ((4, CLASSES), TensorRole.KERNEL),
    "dense/bias": ((CLASSES,), TensorRole.BIAS),
}
_CAN_BE_GIVEN = frozenset({Need.SCORES, Need.EVALUATOR, Need.BASE})


def small_model(seed: int) -> Model:
    """A convolution, a normalisation and a dense layer, filled at random; it has no graph.

    Args:
        seed: 0 or above; the same gives the same weights.
    """
    random = np.random.default_rng(seed)
    arrays = {}
    for name, (shape, role) in _SHAPES.items():
        array = random.normal(size=shape).astype(np.float32)
        array = np.abs(array) if role is TensorRole.RUNNING_VARIANCE else array
        array.flags.writeable = False
        arrays[name] = (array, role)
    tensors = ArrayTensors(arrays)
    return Model(tensors, Card(name=f"small-{seed}"), _no_graph, (4, 4, 1), (CLASSES,))


def small_ingredients(seeds: tuple[int, ...]) -> tuple[Ingredient, ...]:
    """One ingredient a seed, with accuracies 0.90, 0.89, …; equal seeds make copies."""
    ingredients = []
    for position, seed in enumerate(seeds):
        model = small_model(seed)
        ingredients.append(
            Ingredient(
                f"small-{position}", model, 0.9 - position / 100, weights_digest(model.tensors), position
            )
        )
    return tuple(ingredients)


def small_request(strategy: MergeStrategy, seeds: tuple[int, ...]) -> MergeRequest:
    """A request that a strategy can be called with, its options as they are by default."""
    ingredients = small_ingredients(seeds)
    base = small_model(0)

    def evaluate(candidate: MergeResult) -> float:
        merge_small(candidate, ingredients, base)
        return 0.5

    needs = strategy.needs_with(strategy.options())
    return MergeRequest(
        ingredients, CLASSES, strategy.options(), evaluate=evaluate if Need.EVALUATOR in needs else None
    )


def merge_small(
    result: MergeResult, ingredients: tuple[Ingredient, ...], base: Model | None = None
) -> dict[str, NDArray[Any]]:
    """Combine every float weight, as the host does; statistics are the host's own affair.

    Returns:
        Name to what ``combine`` returned.
    """
    merged = {}
    for name, spec in ingredients[0].model.tensors.specs.items():
        if not spec.role.is_statistic:
            arrays = tuple(ingredient.model.tensors.read(name) for ingredient in ingredients)
            group = TensorGroup(name, spec.role, arrays, None if base is None else base.tensors.read(name))
            merged[name] = result.combine(group)
    return merged


def strategy_problems(strategy: MergeStrategy) -> Iterator[str]:
    """Try a strategy out, with the options that it has by default.

    A strategy that needs gradients or activations is not tried: small models have none.

    Returns:
        One sentence for each promise that it breaks.
    """
    needs = strategy.needs_with(strategy.options())
    if not needs <= _CAN_BE_GIVEN:
        return
    number = strategy.exactly or 3
    for problems in (_merges_copies_to_themselves, _combines_purely, _repeats_itself):
        try:
            yield from problems(strategy, number)
        except Exception as error:  # noqa: BLE001 - all that a stranger's code can raise is a finding
            yield f"merge failed on small models: {type(error).__name__}: {one_line(error)}"
            return


def _merges_copies_to_themselves(strategy: MergeStrategy, number: int) -> Iterator[str]:
    request = small_request(strategy, (0,) * number)
    merged = merge_small(strategy.merge(request), request.ingredients, small_model(0))
    for name, array in merged.items():
        original = request.ingredients[0].model.tensors.read(name)
        if np.shape(array) != original.shape:
            continue
        if np.asarray(array).astype(original.dtype).tobytes() != original.tobytes():
            yield f"{number} copies of one model do not merge to that model: {name} differs"


def _combines_purely(strategy: MergeStrategy, number: int) -> Iterator[str]:
    request = small_request(strategy, tuple(range(number)))
    received: object = strategy.merge(request)
    if not isinstance(received, MergeResult):
        yield f"merge returned {type(received).__name__}, expected MergeResult"
        return
    result = received
    if len(result.weights) != number:
        yield f"weights has {len(result.weights)} numbers for {number} ingredients"
    elif not np.isfinite(result.weights).all() or abs(sum(result.weights) - 1.0) > 1e-6:
        yield f"weights are {result.weights}, expected finite numbers that sum to 1"
    base = small_model(0)
    merged, again = (merge_small(result, request.ingredients, base) for _ in range(2))
    for name, array in merged.items():
        spec = request.ingredients[0].model.tensors.specs[name]
        yield from _shape_problems(spec, array)
        if not _same(array, again[name]):
            yield f"combine is not pure: called twice it gives two results for {name}"


def _repeats_itself(strategy: MergeStrategy, number: int) -> Iterator[str]:
    results = []
    for _ in range(2):
        request = small_request(strategy, tuple(range(number)))
        results.append(merge_small(strategy.merge(request), request.ingredients, small_model(0)))
    if not all(_same(results[0][name], results[1][name]) for name in results[0]):
        yield "the same request gives two results; seed random choices from (seed, tensor name)"


def _shape_problems(spec: TensorSpec, array: object) -> Iterator[str]:
    if not isinstance(array, np.ndarray):
        yield f"combine returned {type(array).__name__} for {spec.name}, expected an array"
    elif array.shape != spec.shape:
        yield f"combine returned the shape {array.shape} for {spec.name} of shape {spec.shape}"
    elif array.dtype not in (np.float64, spec.dtype):
        yield f"combine returned {array.dtype} for {spec.name}, expected float64 or {spec.dtype}"
    elif not np.isfinite(array).all():
        yield f"combine returned numbers that are not finite for {spec.name}"


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return np.array_equal(np.asarray(one), np.asarray(other), equal_nan=True)


def _no_graph() -> Graph:
    raise UnsupportedError("a small model for checks has no graph", hint="evaluate a real model")
