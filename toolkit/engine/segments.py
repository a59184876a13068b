"""Cutting a graph at its batch normalisations, so that its parts can be run one after another."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

from toolkit.engine.session import Session
from toolkit.errors import UnsupportedError

BATCH_AXIS = "batch"


@dataclass(frozen=True, slots=True)
class Normalisation:
    """One batch normalisation of a graph.

    Attributes:
        source: Value that it normalises.
        mean: Initializer of its running mean.
        variance: Initializer of its running variance.
        depth: How many normalisations lie on the longest path from the input to it.
    """

    source: str
    mean: str
    variance: str
    depth: int


@dataclass(frozen=True, slots=True)
class Cut:
    """A place between two nodes of a :class:`SegmentedGraph`.

    Attributes:
        position: Number of nodes before it.
        values: Those made before it and used behind it, the graph's input left out.
        bytes_per_image: Of those values.
    """

    position: int
    values: tuple[str, ...]
    bytes_per_image: int


class SegmentedGraph:
    """A graph's nodes in the order of the normalisations that they depend on.

    Args:
        proto: A complete model.
        input_name: Of its one input, (batch, *input_shape) float32.
        input_shape: Without the batch axis.
        statistics: Initializers that may be measured anew; other normalisations are part of the network.
        name: Of the model, for messages.

    Raises:
        UnsupportedError: If a running mean or variance serves normalisations of different depth.
    """

    def __init__(
        self,
        proto: onnx.ModelProto,
        input_name: str,
        input_shape: tuple[int, ...],
        statistics: Collection[str],
        name: str,
    ) -> None:
        self._proto = proto
        self._name = name
        self.input = input_name
        self.input_shape = input_shape
        self.normalisations, stages = _stages(proto, input_name, statistics, name)
        self._constants = [
            node for index, node in enumerate(proto.graph.node) if index not in stages
        ]  # do not depend on the images: part of every segment
        needed = _ancestors(proto, {found.source for found in self.normalisations})
        order = sorted((stage, index) for index, stage in stages.items() if index in needed)
        self._stages = [stage for stage, _ in order]
        self._nodes = [proto.graph.node[index] for _, index in order]

    @property
    def depths(self) -> int:
        """Number of passes: the longest chain of normalisations."""
        return 1 + max((found.depth for found in self.normalisations), default=-1)

    def at(self, depth: int) -> tuple[Normalisation, ...]:
        """The normalisations of one depth."""
        return tuple(found for found in self.normalisations if found.depth == depth)

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape without the batch axis of each float32 value that has one row an image.

        Runs the network on two and on three blank images: no inference of shapes is as certain.
        """
        outputs = [output for node in self._nodes for output in node.output if output]
        session = Session(self._extract(outputs, {}), self._name)
        two, three = (
            dict(
                zip(
                    outputs,
                    session.run({self.input: np.zeros((n, *self.input_shape), np.float32)}),
                    strict=True,
                )
            )
            for n in (2, 3)
        )
        found = {
            name: value.shape[1:]
            for name, value in two.items()
            if value.dtype == np.float32
            and value.shape[:1] == (2,)
            and three[name].shape == (3, *value.shape[1:])
        }
        return {**found, self.input: self.input_shape}

    def cuts(self, depth: int, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[Cut]:
        """Places before which every node depends on normalisations above ``depth`` only, last first.

        Args:
            depth: Of the normalisations whose sources are to be known.
            shapes: As :meth:`shapes` returned them; a place whose values are not all in it is left out.
        """
        end = sum(stage <= depth for stage in self._stages)
        used = {name for node in self._nodes[end:] for name in node.input}
        used |= {found.source for found in self.normalisations if found.depth > depth}
        for position in range(end, 0, -1):
            made = {output for node in self._nodes[:position] for output in node.output}
            values = tuple(sorted(made & used))
            if all(value in shapes for value in values):
                size = sum(4 * int(np.prod(shapes[value], dtype=np.int64)) for value in values)
                yield Cut(position, values, size)
            used |= set(self._nodes[position - 1].input)

    def segment(
        self,
        outputs: Sequence[str],
        feeds: Mapping[str, tuple[int, ...]],
        statistics: Mapping[str, onnx.TensorProto],
        moments_of: Sequence[str],
    ) -> onnx.ModelProto:
        """A model that goes from some values to others.

        Args:
            outputs: Values to return as they are.
            feeds: Values to start from, beside the graph's input, with their shapes.
            statistics: Initializers that replace the model's.
            moments_of: Values of which the mean and the population variance over all axes but
                the first two are returned too, named ``<value>/mean`` and ``<value>/variance``.
        """
        extra = [node for value in moments_of for node in _moment_nodes(value)]
        names = [*outputs, *(moment for value in moments_of for moment in moment_names(value))]
        return self._extract(names, feeds, statistics, extra, roots=[*outputs, *moments_of])

    def _extract(
        self,
        outputs: Sequence[str],
        feeds: Mapping[str, tuple[int, ...]],
        statistics: Mapping[str, onnx.TensorProto] | None = None,
        extra: Sequence[onnx.NodeProto] = (),
        roots: Sequence[str] | None = None,
    ) -> onnx.ModelProto:
        replaced = statistics or {}
        wanted = set(outputs if roots is None else roots) - set(feeds)
        kept: list[onnx.NodeProto] = []
        for node in reversed([*self._constants, *self._nodes]):
            if wanted.intersection(node.output) and not set(node.output) & set(feeds):
                kept.append(node)
                wanted |= set(node.input) - set(feeds)
        used = {name for node in kept for name in node.input}
        inputs = {name: shape for name, shape in feeds.items() if name in used | set(roots or ())}
        if self.input in used | wanted:
            inputs[self.input] = self.input_shape
        model = onnx.ModelProto()
        model.ir_version = self._proto.ir_version
        model.opset_import.extend(self._proto.opset_import)
        model.graph.name = "segment"
        model.graph.node.extend([*reversed(kept), *extra])
        model.graph.input.extend(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH_AXIS, *shape])
            for name, shape in inputs.items()
        )
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
        model.graph.initializer.extend(
            replaced.get(tensor.name, tensor)
            for tensor in self._proto.graph.initializer
            if tensor.name in used
        )
        return model


def moment_names(value: str) -> tuple[str, str]:
    """Names of the outputs that hold a value's mean and variance."""
    return f"{value}/mean", f"{value}/variance"


def _moment_nodes(value: str) -> list[onnx.NodeProto]:
    # Global average pooling means the same in every opset; the reductions changed their arguments.
    mean, variance = moment_names(value)
    return [
        helper.make_node("GlobalAveragePool", [value], [mean]),
        helper.make_node("Sub", [value, mean], [f"{value}/centred"]),
        helper.make_node("Mul", [f"{value}/centred", f"{value}/centred"], [f"{value}/squared"]),
        helper.make_node("GlobalAveragePool", [f"{value}/squared"], [variance]),
    ]


def _stages(
    proto: onnx.ModelProto, input_name: str, statistics: Collection[str], name: str
) -> tuple[tuple[Normalisation, ...], dict[int, int]]:
    """Each normalisation, and for each node that depends on the input how many lie above it."""
    depth_of_value = {input_name: 0}
    stages: dict[int, int] = {}
    found: list[Normalisation] = []
    depth_of_statistic: dict[str, int] = {}
    for index, node in enumerate(proto.graph.node):
        above = [depth_of_value[value] for value in node.input if value in depth_of_value]
        if not above:
            continue
        stage = max(above)
        if node.op_type == "BatchNormalization" and set(node.input[3:5]) & set(statistics):
            mean, variance = node.input[3:5]
            for statistic in (mean, variance):
                if depth_of_statistic.setdefault(statistic, stage) != stage:
                    raise UnsupportedError(
                        f"{name}: {statistic} serves normalisations of different depth",
                        hint="a network that uses one normalisation twice in a row cannot be recalibrated",
                    )
            found.append(Normalisation(node.input[0], mean, variance, stage))
            stage += 1
        stages[index] = stage
        depth_of_value.update((output, stage) for output in node.output if output)
    return tuple(found), stages


def _ancestors(proto: onnx.ModelProto, values: Collection[str]) -> set[int]:
    wanted = set(values)
    kept = set()
    for index in range(len(proto.graph.node) - 1, -1, -1):
        node = proto.graph.node[index]
        if wanted.intersection(node.output):
            kept.add(index)
            wanted |= set(node.input)
    return kept
