"""Cutting a graph at its batch normalisations, to run its parts one after another."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter

import numpy as np
import onnx

from toolkit.engine.session import Session
from toolkit.errors import UnsupportedError
from toolkit.graph import Graph, Node, ancestors, node_key
from toolkit.graph.onnx_form import model_of
from toolkit.records import dataclass


@dataclass(frozen=True)
class Normalisation:
    """One batch normalisation of a graph: the value it normalises, and initializers of its statistics.

    On the longest path from the input to it, there are ``depth`` others.
    """

    source: str
    mean: str
    variance: str
    depth: int


class SegmentedGraph:
    """A graph's nodes in the order of the normalisations that they depend on.

    Normalisations whose statistics are tensors of the model can be measured, others are part of the
    network.

    Args:
        initializers: Of every tensor of the model; needed to run segments.
        frozen: Statistics that are not measured.

    Raises:
        UnsupportedError: If a running mean or variance serves normalisations of different depth.
    """

    def __init__(
        self,
        graph: Graph,
        name: str,
        initializers: Mapping[str, onnx.TensorProto] | None = None,
        frozen: Collection[str] = (),
    ) -> None:
        self._graph = graph
        self._name = name
        self._initializers = initializers or {}
        self.input = graph.input
        self.normalisations, stages = _stages(graph, name, frozen)
        # Nodes that do not depend on the images are part of every segment.
        self._constants = [node for node in graph.nodes if node_key(node) not in stages]
        needed = ancestors(graph.nodes, {found.source for found in self.normalisations})
        staged = [(stages[node_key(node)], node) for node in needed if node_key(node) in stages]
        staged.sort(key=itemgetter(0))
        self._stages = [stage for stage, _ in staged]
        self._nodes = [node for _, node in staged]

    @property
    def depths(self) -> int:
        """Number of passes: the longest chain of normalisations."""
        return 1 + max((found.depth for found in self.normalisations), default=-1)

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape without the batch axis of each float32 value that has one row an image.

        Runs the network on two and on three blank images: no inference of shapes is as certain.
        """
        outputs = [output for node in self._nodes for output in node.outputs if output]
        session = Session(self.segment(outputs), self._name)
        shape = self._graph.input_shape
        two, three = (session.run({self.input: np.zeros((n, *shape), np.float32)}) for n in (2, 3))
        found = {
            name: a.shape[1:]
            for name, a, b in zip(outputs, two, three, strict=True)
            if a.dtype == np.float32 and a.shape[:1] == (2,) and b.shape == (3, *a.shape[1:])
        }
        return {**found, self.input: shape}

    def cut(
        self, depth: int, shapes: Mapping[str, tuple[int, ...]], after: int, most_bytes: int
    ) -> tuple[int, tuple[str, ...]] | None:
        """The last place before which every node depends on normalisations above ``depth`` only.

        More than ``after`` nodes are before it. The values that are made before and used after it
        have known shapes, and take at most ``most_bytes`` for one image.

        Returns the number of nodes before it, and those values; None if there is no such place.
        """
        end = sum(stage <= depth for stage in self._stages)
        used = {name for node in self._nodes[end:] for name in node.inputs}
        used |= {found.source for found in self.normalisations if found.depth > depth}
        for position in range(end, after, -1):
            made = {output for node in self._nodes[:position] for output in node.outputs}
            values = tuple(sorted(made & used))
            if all(value in shapes for value in values):
                size = sum(4 * math.prod(shapes[value]) for value in values)
                if size <= most_bytes:
                    return position, values
            used |= set(self._nodes[position - 1].inputs)
        return None

    def segment(
        self,
        outputs: Sequence[str],
        feeds: Mapping[str, tuple[int, ...]] | None = None,
        statistics: Mapping[str, onnx.TensorProto] | None = None,
        moments_of: Sequence[str] = (),
    ) -> onnx.ModelProto:
        """A model that computes some values from others.

        Args:
            outputs: Values to return as they are.
            feeds: Values to start from, in addition to the graph's input, with their shapes.
            statistics: Initializers that replace the model's.
            moments_of: Values of which the mean and the population variance over all axes but
                the first two are returned too, named by :func:`moment_names`.
        """
        shapes = {**(feeds or {}), self.input: self._graph.input_shape}
        initializers = {**self._initializers, **(statistics or {})}
        wanted = {*outputs, *moments_of}
        kept = ancestors([*self._constants, *self._nodes], wanted, stop_at=feeds or ())
        used = wanted.union(*(node.inputs for node in kept))
        names = [*outputs, *(moment for value in moments_of for moment in moment_names(value))]
        return model_of(
            self._graph,
            [*kept, *(node for value in moments_of for node in _moment_nodes(value))],
            {name: shape for name, shape in shapes.items() if name in used},
            [onnx.ValueInfoProto(name=name) for name in names],
            [tensor for name, tensor in initializers.items() if name in used],
        )


def moment_names(value: str) -> tuple[str, str]:
    """Names of the outputs that hold a value's mean and variance."""
    return f"{value}/mean", f"{value}/variance"


def _moment_nodes(value: str) -> list[Node]:
    # Global average pooling means the same in every opset; the reductions changed their arguments.
    mean, variance = moment_names(value)
    return [
        Node("GlobalAveragePool", (value,), (mean,)),
        Node("Sub", (value, mean), (f"{value}/centred",)),
        Node("Mul", (f"{value}/centred", f"{value}/centred"), (f"{value}/squared",)),
        Node("GlobalAveragePool", (f"{value}/squared",), (variance,)),
    ]


def _stages(
    graph: Graph, name: str, frozen: Collection[str]
) -> tuple[tuple[Normalisation, ...], dict[str, int]]:
    """Each normalisation, and for each node that depends on the input how many are above it."""
    statistics = {binding.tensor for binding in graph.bindings} - set(frozen)
    depth_of_value = {graph.input: 0}
    stages: dict[str, int] = {}
    found: list[Normalisation] = []
    depth_of_statistic: dict[str, int] = {}
    for node in graph.nodes:
        above = [depth_of_value[value] for value in node.inputs if value in depth_of_value]
        if not above:
            continue
        stage = max(above)
        if node.operator == "BatchNormalization" and statistics.intersection(node.inputs[3:5]):
            mean, variance = node.inputs[3:5]
            for statistic in (mean, variance):
                if depth_of_statistic.setdefault(statistic, stage) != stage:
                    raise UnsupportedError(
                        f"{name}: {statistic} is used by normalisations of different depth",
                        hint="a network that uses one normalisation twice in a row cannot be recalibrated",
                    )
            found.append(Normalisation(node.inputs[0], mean, variance, stage))
            stage += 1
        stages[node_key(node)] = stage
        depth_of_value.update((output, stage) for output in node.outputs if output)
    return tuple(found), stages
