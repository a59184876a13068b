"""Small networks as data: in memory, and wired by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import onnx
import pytest
from onnx import helper

from toolkit.declarations import Ingredient
from toolkit.graph import Layer, Topology
from toolkit.graph.graph import Binding, Graph
from toolkit.merging.matching import Candidate, candidate, match
from toolkit.model import Card, Model
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


def no_graph() -> Graph:
    raise AssertionError("this test runs no network")


def layer(
    name: str, kind: str, inputs: Sequence[str] = (), weights: Weights | None = None, **attributes: Any
) -> tuple[Layer, dict[str, np.ndarray[Any, Any]]]:
    """One layer and its arrays; the last part of each tensor's name tells its role."""
    arrays = {f"{name}/{part}": np.asarray(array) for part, array in (weights or {}).items()}
    specs = tuple(
        TensorSpec(full, array.shape, array.dtype, ROLES.get(full.rpartition("/")[2], TensorRole.OTHER))
        for full, array in arrays.items()
    )
    return Layer(name, kind, attributes, tuple(inputs), specs), arrays


def network(
    *layers: tuple[Layer, dict[str, np.ndarray[Any, Any]]],
    card: Card | None = None,
    inputs: tuple[int, ...] = (28, 28, 1),
    outputs: int = 3,
    dialect: str = "keras",
    graph: Any = no_graph,
) -> Model:
    """A model of hand-made layers."""
    arrays: dict[str, tuple[np.ndarray[Any, Any], TensorRole]] = {}
    for described, own in layers:
        for spec in described.tensors:
            arrays[spec.name] = (own[spec.name], spec.role)
    topology = Topology(dialect, {}, tuple(described for described, _ in layers), inputs, (outputs,))
    return Model(topology, ArrayTensors(arrays), card or Card(), graph)


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
            nodes = [
                helper.make_node("Flatten", ["x"], ["flat"], axis=1),
                helper.make_node("Gemm", ["flat", f"{name}/kernel", f"{name}/bias"], ["y"]),
            ]
            proto = helper.make_model(
                helper.make_graph(
                    nodes,
                    "linear",
                    [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 28, 28, 1])],
                    [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", outputs])],
                ),
                opset_imports=[helper.make_opsetid("", 17)],
                ir_version=9,
            )
            bindings = (Binding(f"{name}/kernel"), Binding(f"{name}/bias"))
            return Graph(proto, bindings, "x", "y", outputs_probabilities=False)

        return network(
            layer("input", "InputLayer"),
            layer("flatten", "Flatten", ("input",)),
            layer(name, "Dense", ("flatten",), {"kernel": kernel, "bias": bias}),
            card=card,
            outputs=outputs,
            graph=graph,
        )

    return build


def candidates(*models: Model, accuracies: Sequence[float | None] = ()) -> list[Candidate]:
    """The models as they stand after they were opened, called a, b, c."""
    found = [candidate("abcdefgh"[place], model, place) for place, model in enumerate(models)]
    return [
        dataclasses.replace(item, accuracy=accuracy)
        for item, accuracy in zip(found, [*accuracies, *[None] * len(found)], strict=False)
    ]


def ingredients(*models: Model, accuracies: Sequence[float | None] = ()) -> tuple[Ingredient, ...]:
    """The models as ingredients, which they must be able to be, in the order given."""
    matched = match(candidates(*models, accuracies=accuracies))
    assert matched.problems == ()
    return tuple(sorted(matched.ingredients, key=lambda item: item.position))


@pytest.fixture(scope="session")
def nets() -> SimpleNamespace:
    """The functions above."""
    return SimpleNamespace(
        layer=layer, network=network, chain=chain, candidates=candidates, ingredients=ingredients
    )
