"""Checks of the merge strategy contract on small models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.declarations import Ingredient, MergeRequest, MergeResult, MergeStrategy, Need
from toolkit.declarations.merged_tensors import check_shares
from toolkit.errors import UnsupportedError, one_line
from toolkit.graph import Graph
from toolkit.model import Card, Model
from toolkit.tensors import ArrayTensors, TensorRole, weights_digest

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
Arrays = dict[str, NDArray[Any]]


def small_model(seed: int) -> Model:
    """A convolution, a normalisation and a dense layer, filled at random; it has no graph."""
    random = np.random.default_rng(seed)
    arrays = {}
    for name, (shape, role) in _SHAPES.items():
        array = random.normal(size=shape).astype(np.float32)
        array = np.abs(array) if role is TensorRole.RUNNING_VARIANCE else array
        array.flags.writeable = False
        arrays[name] = (array, role)
    return Model(ArrayTensors(arrays), Card(name=f"small-{seed}"), _no_graph, (4, 4, 1), (CLASSES,))


def small_ingredients(seeds: tuple[int, ...]) -> tuple[Ingredient, ...]:
    """One ingredient per seed, with accuracies 0.90, 0.89, …; equal seeds make copies."""
    originals: dict[str, str] = {}
    found = []
    for position, seed in enumerate(seeds):
        model, name = small_model(seed), f"small-{position}"
        digest = weights_digest(model.tensors)
        first = originals.setdefault(digest, name)
        copy_of = "" if first == name else first
        found.append(Ingredient(name, model, 0.9 - position / 100, digest, position, copy_of))
    return tuple(found)


def strategy_problems(strategy: MergeStrategy) -> Iterator[str]:
    """Try a strategy with its default options.

    A strategy that needs images is not tried: the small models cannot be run.
    """
    if Need.IMAGES in strategy.needs_with(strategy.options()):
        return
    number = strategy.exactly or 3
    try:
        yield from _copies_problems(strategy, small_ingredients((0,) * number))
        yield from _result_problems(strategy, small_ingredients(tuple(range(number))))
    except Exception as error:  # noqa: BLE001 - whatever third-party code raises is a finding
        yield f"merge failed on small models: {type(error).__name__}: {one_line(error)}"


def _copies_problems(strategy: MergeStrategy, copies: Sequence[Ingredient]) -> Iterator[str]:
    merged = _read(_merged(strategy, copies).model)
    originals = _read(copies[0].model)
    if merged.keys() == originals.keys():  # a strategy may return a network of another structure
        for name, array in originals.items():
            if merged[name].tobytes() != array.tobytes():
                yield f"{len(copies)} copies of one model do not merge to that model: {name} differs"


def _result_problems(strategy: MergeStrategy, ingredients: Sequence[Ingredient]) -> Iterator[str]:
    result = _merged(strategy, ingredients)
    check_shares(result.shares, len(ingredients))
    arrays = _read(result.model)
    for name, array in arrays.items():
        spec = result.model.tensors.specs[name]
        if array.shape != spec.shape or array.dtype != spec.dtype:
            yield f"{name} is {array.dtype} {array.shape}, its specification says {spec.dtype} {spec.shape}"
        elif not np.isfinite(array).all():
            yield f"{name} has values that are not finite"
    if result.unchanged is not None:
        named = [item.model for item in ingredients if item.name == result.unchanged]
        if not named or not _same(arrays, _read(named[0])):
            yield f"unchanged is {result.unchanged!r}, but the model is not that ingredient"
    if not _same(arrays, _read(result.model)):
        yield "a tensor of the result differs when it is read again; tensors must be pure functions"
    if not _same(arrays, _read(_merged(strategy, ingredients).model)):
        yield "the same request gives two results; seed random choices from (seed, tensor name)"
    if not _same(arrays, _read(_merged(strategy, ingredients[::-1]).model), rounding=1e-5):
        yield "the order of the ingredients changes the result"


def _merged(strategy: MergeStrategy, ingredients: Sequence[Ingredient]) -> MergeResult:
    """Merge with the default options; every candidate scores 0.5."""

    def evaluate(candidate: Model) -> float:
        _read(candidate)
        return 0.5

    options = strategy.options()
    needed = Need.EVALUATOR in strategy.needs_with(options)
    request = MergeRequest(tuple(ingredients), options, evaluate=evaluate if needed else None)
    result: object = strategy.merge(request)
    if not isinstance(result, MergeResult):
        raise TypeError(f"merge returned {type(result).__name__}, expected MergeResult")
    return result


def _read(model: Model) -> Arrays:
    return {name: np.asarray(model.tensors.read(name)) for name in model.tensors.specs}


def _same(one: Arrays, other: Arrays, rounding: float = 0.0) -> bool:
    return one.keys() == other.keys() and all(
        np.allclose(array, other[name], rtol=rounding, atol=rounding, equal_nan=True)
        for name, array in one.items()
    )


def _no_graph() -> Graph:
    raise UnsupportedError("a small model for checks has no graph", hint="evaluate a real model")
