"""From the probabilities of several networks to those of the ensemble, as ONNX and in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from toolkit.onnx_export import OUTPUT

CHOICE = "combine/choice"
"""The value in the graph with the model that is chosen for each image, (batch, 1)."""

LEAD = 1e-6
"""By how much, in nats, the entropy of a later model must be lower than that of the one before it."""

_LEAST = np.float32(1e-30)  # its logarithm times a probability of 0 is 0


def combined(
    outputs: Sequence[str], shares: Sequence[float] | None
) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes and constants that combine values of (batch, classes) into ``probabilities``.

    Args:
        shares: Weight of each in the mean, summing to 1; None to choose the most confident for each image.
    """
    constants: list[TensorProto] = []

    def constant(name: str, array: NDArray[np.float32] | NDArray[np.int64]) -> str:
        constants.append(numpy_helper.from_array(array, f"combine/{name}"))
        return f"combine/{name}"

    def node(operator: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
        return helper.make_node(operator, inputs, [output], name=output, **attributes)

    axis = constant("models axis", np.asarray([1], np.int64))
    stacked = "combine/all"
    nodes = [node("Unsqueeze", [output, axis], f"{output}/stacked") for output in outputs]
    nodes.append(node("Concat", [f"{output}/stacked" for output in outputs], stacked, axis=1))
    if shares is not None:
        weights = constant("weights", np.asarray(shares, np.float32).reshape(1, -1, 1))
        nodes.append(node("Mul", [stacked, weights], "combine/weighted"))
        nodes.append(node("ReduceSum", ["combine/weighted", axis], OUTPUT, keepdims=0))
        return nodes, constants
    least = constant("least", np.asarray(_LEAST))
    classes = constant("classes axis", np.asarray([2], np.int64))
    lead = constant("lead", -np.float32(LEAD) * np.arange(len(outputs), dtype=np.float32))
    nodes += [
        node("Max", [stacked, least], "combine/positive"),
        node("Log", ["combine/positive"], "combine/logarithm"),
        node("Mul", [stacked, "combine/logarithm"], "combine/terms"),
        node("ReduceSum", ["combine/terms", classes], "combine/negative entropy", keepdims=0),
        node("Add", ["combine/negative entropy", lead], "combine/confidence"),
        node("ArgMax", ["combine/confidence"], CHOICE, axis=1, keepdims=1),
        node("GatherND", [stacked, CHOICE], OUTPUT, batch_dims=1),
    ]
    return nodes, constants


def weighted_mean(probabilities: NDArray[np.float64], shares: Sequence[float]) -> NDArray[np.float64]:
    """(images, classes) The mean of (models, images, classes) with shares that sum to 1."""
    mean: NDArray[np.float64] = np.einsum("mnc,m->nc", probabilities, np.asarray(shares))
    return mean


def entropies(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """The entropy of each distribution along the last axis, in nats; 0·log 0 is 0."""
    logarithm = np.log(np.where(probabilities > 0, probabilities, 1.0))
    total: NDArray[np.float64] = -(probabilities * logarithm).sum(axis=-1)
    return total


def most_confident(probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """(images,) The model with the lowest entropy, of (models, images, classes); the first of equal ones."""
    lead = LEAD * np.arange(len(probabilities))[:, np.newaxis]
    chosen: NDArray[np.int64] = (entropies(probabilities) + lead).argmin(axis=0)
    return chosen
