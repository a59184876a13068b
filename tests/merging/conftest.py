"""Small networks as data: in memory, and wired by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import pytest

from toolkit.declarations import Ingredient, MergeStrategy
from toolkit.errors import UnsupportedError
from toolkit.graph import Binding, Graph, Node
from toolkit.merging.ingredients import ingredient
from toolkit.merging.recipe import Recipe
from toolkit.merging.stages import conform
from toolkit.merging.state import Images, MergeState
from toolkit.model import Card, Layer, Model
from toolkit.tensors import ArrayTensors, TensorRole, TensorSpec

ROLES = {
    "kernel": TensorRole.KERNEL,
    "bias": TensorRole.BIAS,
    "gamma": TensorRole.SCALE,
    "beta": TensorRole.SHIFT,
    "moving_mean": TensorRole.RUNNING_MEAN,
    "moving_variance": TensorRole.RUNNING_VARIANCE,
    "seed_generator_state": TensorRole.GENERATOR_STATE,
}

Weights = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Made:
    """One hand-made layer: how lists show it, what it holds, and its calls."""

    layer: Layer
    arrays: dict[str, np.ndarray[Any, Any]]
    calls: tuple[tuple[str, ...], ...]
    attributes: dict[str, Any]


def layer(
    name: str,
    kind: str,
    inputs: Sequence[str] = (),
    weights: Weights | None = None,
    *,
    called_again_on: Sequence[Sequence[str]] = (),
    **attributes: Any,
) -> Made:
    """One layer; the last part of each tensor's name tells its role."""
    arrays = {f"{name}/{part}": np.asarray(array) for part, array in (weights or {}).items()}
    specs = tuple(
        TensorSpec(full, array.shape, array.dtype, ROLES.get(full.rpartition("/")[2], TensorRole.OTHER))
        for full, array in arrays.items()
    )
    calls = (tuple(inputs), *map(tuple, called_again_on))
    return Made(Layer(name, kind, specs), arrays, calls, attributes)


def network(
    *layers: Made,
    card: Card | None = None,
    inputs: tuple[int, ...] = (28, 28, 1),
    outputs: int = 3,
    dialect: str = "keras",
    graph: Callable[[], Graph] | None = None,
) -> Model:
    """A model of hand-made layers; without a graph it can be matched, not run."""
    arrays = {
        spec.name: (made.arrays[spec.name], spec.role) for made in layers for spec in made.layer.tensors
    }
    described = graph or (lambda: described_graph(layers, inputs, outputs))
    shown = tuple(made.layer for made in layers)
    return Model(ArrayTensors(arrays), card or Card(), described, inputs, (outputs,), dialect, {}, shown)


def described_graph(layers: Sequence[Made], inputs: tuple[int, ...], outputs: int) -> Graph:
    """A node for each call of each layer that computes something."""
    nodes: list[Node] = []
    same_as: dict[str, str] = {}
    bindings: list[Binding] = []
    for made in layers:
        name, kind = made.layer.name, made.layer.kind
        tensors = [spec.name for spec in made.layer.tensors if spec.role is not TensorRole.GENERATOR_STATE]
        bindings += map(Binding, tensors)
        for index, sources in enumerate(made.calls):
            call = f"{name}#{index}" if index else name
            if kind == "InputLayer":
                same_as[call] = "x"
            elif kind.startswith(("Dropout", "Random")):
                same_as[call] = sources[0]
            else:
                nodes.append(Node(kind, (*sources, *tensors), (call,), made.attributes, name, name, "keras"))

    def found(value: str) -> str:
        return found(same_as[value]) if value in same_as else value

    nodes = [replace(node, inputs=tuple(map(found, node.inputs))) for node in nodes]
    last = found(layers[-1].layer.name)
    refusal = UnsupportedError("this test runs no network")
    return Graph(tuple(nodes), {}, tuple(bindings), "x", last, inputs, (outputs,), refusal=refusal)


def chain(names: Sequence[str], weights: Sequence[Weights], *, card: Card | None = None) -> Model:
    """Input, then dense layers one behind the other."""
    layers = [layer("input", "InputLayer")]
    before = "input"
    for name, own in zip(names, weights, strict=True):
        layers.append(layer(name, "Dense", (before,), own, activation="relu"))
        before = name
    return network(*layers, card=card, outputs=int(weights[-1]["bias"].shape[0]))


class LinearModel(Protocol):
    def __call__(self, kernel: Any, bias: Any, *, name: str = "dense", card: Card | None = None) -> Model: ...


@pytest.fixture
def linear() -> LinearModel:
    """Builds networks that flatten 28×28 pixels and apply one dense layer, and that really run."""

    def build(kernel: Any, bias: Any, *, name: str = "dense", card: Card | None = None) -> Model:
        kernel, bias = np.asarray(kernel, np.float32), np.asarray(bias, np.float32)
        outputs = len(bias)

        def graph() -> Graph:
            nodes = (
                Node("Flatten", ("x",), ("flat",), {"axis": 1}),
                Node("Gemm", ("flat", f"{name}/kernel", f"{name}/bias"), ("y",), layer=name),
            )
            bindings = (Binding(f"{name}/kernel"), Binding(f"{name}/bias"))
            return Graph(nodes, {}, bindings, "x", "y", (28, 28, 1), (outputs,))

        return network(
            layer("input", "InputLayer"),
            layer("flatten", "Flatten", ("input",)),
            layer(name, "Dense", ("flatten",), {"kernel": kernel, "bias": bias}),
            card=card,
            outputs=outputs,
            graph=graph,
        )

    return build


def opened(*models: Model, accuracies: Sequence[float | None] = ()) -> tuple[Ingredient, ...]:
    """The models as they are after they were opened, called a, b, c."""
    found = [ingredient("abcdefgh"[place], model, place) for place, model in enumerate(models)]
    return tuple(
        dataclasses.replace(item, validation_accuracy=accuracy)
        for item, accuracy in zip(found, [*accuracies, *[None] * len(found)], strict=False)
    )


def state(*models: Model, accuracies: Sequence[float | None] = ()) -> MergeState:
    """A merge of the models, before its stages."""
    strategy = MergeStrategy(name="none", summary="Is never called", merge=lambda _: None)  # type: ignore[arg-type, return-value]
    return MergeState(Recipe(), strategy, None, opened(*models, accuracies=accuracies), Images("no images"))


def ingredients(*models: Model, accuracies: Sequence[float | None] = ()) -> tuple[Ingredient, ...]:
    """The models as conformed ingredients, in the order given."""
    before = state(*models, accuracies=accuracies)
    assert list(conform.problems(before)) == []
    return tuple(sorted(conform.run(before).ingredients, key=lambda item: item.position))


@pytest.fixture(scope="session")
def nets() -> SimpleNamespace:
    """The functions above."""
    return SimpleNamespace(
        layer=layer, network=network, chain=chain, opened=opened, state=state, ingredients=ingredients
    )
