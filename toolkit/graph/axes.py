"""Which axes of a network's tensors belong to the same channels.

The channels of a hidden layer can be put in another order without changing the network's function,
if every tensor that produces or uses them is put in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from toolkit.graph.channels import ChannelAxis, ChannelGroups, Channels, Layout, Segment, Shape, regrouped
from toolkit.graph.graph import Graph, Node
from toolkit.tensors import TensorSpec


def channel_groups(graph: Graph, specs: Mapping[str, TensorSpec]) -> ChannelGroups:
    """Which axes of which initializers of a network that can be run must be reordered together."""
    from toolkit.graph.onnx_form import inferred_shapes

    initializers = {
        binding.tensor: binding.rearrangement.shape(specs[binding.tensor].shape) for binding in graph.bindings
    }
    walk = _Walk(graph, initializers, inferred_shapes(graph, initializers))
    for node in graph.nodes:
        walk.visit(node)
    if graph.output in walk.channels:
        walk.freeze(walk.channels[graph.output].layout)
    return walk.result()


SAME_PLACE = {  # element by element, or alike for every order of the channels
    *("Abs", "Cast", "Celu", "Clip", "Dropout", "Elu", "Erf", "Exp", "HardSigmoid", "HardSwish"),
    *("Identity", "LeakyRelu", "Log", "LogSoftmax", "Mish", "Neg", "Reciprocal", "Relu", "Selu"),
    *("Sigmoid", "Softmax", "Softplus", "Softsign", "Sqrt", "Tanh", "ThresholdedRelu"),
}
"""Operations on one value that keep its shape and the place of every element."""

BROADCAST = {
    *("Add", "Div", "Greater", "Less", "Max", "Mean", "Min", "Mul", "PRelu", "Pow", "Sub", "Sum", "Where"),
}
"""Operations on several values, element by element, with broadcasting."""

_SPATIAL = {
    *("AveragePool", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool", "MaxPool"),
    *("Pad", "Resize", "Upsample"),
}
RESHAPES = {"Flatten", "Reshape", "Squeeze", "Unsqueeze"}
"""Operations that give the elements other axes, in the same order."""

_NORMALISATIONS = {"BatchNormalization", "InstanceNormalization", "LayerNormalization"}


class _NotFollowedError(Exception):
    """A node whose effect on channels is not known."""


@dataclass
class _Walk:
    """Follows channels from the input to the output."""

    graph: Graph
    initializers: Mapping[str, tuple[int, ...]]
    shapes: Mapping[str, Shape]  # of initializers too
    channels: dict[str, Channels] = field(default_factory=dict)
    axes: dict[tuple[str, int], Layout] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    _same: dict[int, int] = field(default_factory=dict)
    _sizes: dict[int, int] = field(default_factory=dict)
    _fixed: set[int] = field(default_factory=set)
    _fixed_tensors: set[str] = field(default_factory=set)

    def visit(self, node: Node) -> None:
        """Follow the channels through one node; an unknown operation fixes the order of its inputs."""
        try:
            found = self._follow(node)
        except _NotFollowedError:
            found = None
            taken = [self.channels[value].layout for value in node.inputs if value in self.channels]
            if taken:
                self.reasons.append(f"{node.operator} of layer {node.layer or node.outputs[0]}")
            for layout in taken:
                self.freeze(layout)
        if found is None:
            self._fixed_tensors.update(name for name in node.inputs if name in self.initializers)
        else:
            self.channels[node.outputs[0]] = found

    def _follow(self, node: Node) -> Channels | None:
        """Where the output has its channels; None if nowhere."""
        operator = f"{node.domain}.{node.operator}" if node.domain else node.operator
        if operator in ("Conv", "ConvTranspose"):
            return self._convolution(node)
        if operator in ("Gemm", "MatMul"):
            return self._dense(node)
        if operator in BROADCAST:
            return self._broadcast(node)
        if operator == "Concat":
            return self._concat(node)
        source = self.channels.get(node.inputs[0]) if node.inputs else None
        if source is None or operator in SAME_PLACE:
            return source
        before, after = self._shape(node.inputs[0]), self._shape(node.outputs[0])
        if operator in _NORMALISATIONS:
            return self._normalisation(node, source, len(before))
        if operator in _SPATIAL and source.axis == 1 and before[1] == after[1]:
            return source
        if operator == "Slice":
            axes = self.graph.constants.get((*node.inputs, "", "", "", "")[3], np.empty(0))
            if axes.size and source.axis not in axes % len(before):
                return source
        if operator in RESHAPES and (moved := regrouped(source, before, after)) is not None:
            return moved
        if operator == "Transpose" and source.axis in (order := node.attributes.get("perm", ())):
            return replace(source, axis=order.index(source.axis))
        if operator.startswith("Reduce"):
            return self._reduction(node, source, len(before), len(after))
        raise _NotFollowedError

    def _convolution(self, node: Node) -> Channels:
        source, (kernel, *bias) = self.channels.get(node.inputs[0]), node.inputs[1:]
        shape = self.initializers.get(kernel)
        if shape is None or (source is not None and source.axis != 1):
            raise _NotFollowedError
        groups, transposed = node.attributes.get("group", 1), node.operator == "ConvTranspose"
        outputs = 1 if transposed else 0
        if groups == 1:
            if source is not None:
                self._use(kernel, 1 - outputs, source.layout)
            layout = self._new(shape[outputs])
        elif source is not None and not transposed and groups == source.layout.length:
            layout = replace(source.layout, inner=source.layout.inner * (shape[0] // groups))
        else:
            raise _NotFollowedError
        self._use(kernel, outputs, layout)
        for name in bias:
            self._use(name, 0, layout)
        return Channels(1, layout)

    def _dense(self, node: Node) -> Channels:
        value, kernel, *bias = node.inputs
        shape, source = self.initializers.get(kernel), self.channels.get(value)
        last = len(self._shape(value)) - 1
        if shape is None or len(shape) != 2 or node.attributes.get("transA") or last < 1:
            raise _NotFollowedError
        rows = 1 if node.attributes.get("transB") else 0
        if source is not None:
            if source.axis != last:
                raise _NotFollowedError
            self._use(kernel, rows, source.layout)
        layout = self._new(shape[1 - rows])
        self._use(kernel, 1 - rows, layout)
        for name in bias:
            self._use(name, -1, layout)
        return Channels(last, layout)

    def _broadcast(self, node: Node) -> Channels | None:
        """Operations on several values: channels at one place, counted from the end, are the same."""
        rank = len(self._shape(node.outputs[0]))
        found: Channels | None = None
        others = []
        for value in node.inputs:
            own = self.channels.get(value)
            if own is None or own.layout.length == 1:
                others.append(value)
                continue
            placed = replace(own, axis=own.axis + rank - len(self._shape(value)))
            found = found or placed
            self._unite(found, placed)
        if found is None:
            return None
        for value in others:
            shape = self._shape(value)
            axis = found.axis - rank + len(shape)
            if axis >= 0 and shape[axis] != 1:
                self._use(value, axis, found.layout)
        return found

    def _concat(self, node: Node) -> Channels | None:
        axis = node.attributes.get("axis", 0) % max(len(self._shape(node.outputs[0])), 1)
        parts = [self.channels[value] for value in node.inputs if value in self.channels]
        if not parts:
            return None
        if len(parts) < len(node.inputs) or any(part.axis != parts[0].axis for part in parts):
            raise _NotFollowedError
        if axis != parts[0].axis:
            for part in parts[1:]:
                self._unite(parts[0], part)
            return parts[0]
        if any(part.layout.outer != 1 for part in parts):
            raise _NotFollowedError
        segments = [
            replace(segment, expand=segment.expand * part.layout.inner)
            for part in parts
            for segment in part.layout.segments
        ]
        return Channels(axis, Layout(tuple(segments)))

    def _normalisation(self, node: Node, source: Channels, rank: int) -> Channels:
        layers = node.operator == "LayerNormalization"
        first = node.attributes.get("axis", -1) % rank if layers else 1
        if not layers and source.axis != 1:
            raise _NotFollowedError
        for name in node.inputs[1:] if source.axis >= first else ():
            self._use(name, source.axis - first, source.layout)
        return source

    def _reduction(self, node: Node, source: Channels, rank: int, rank_after: int) -> Channels | None:
        axes = node.attributes.get("axes")
        if axes is None and len(node.inputs) > 1:
            axes = self.graph.constants.get(node.inputs[1], np.empty(0)).tolist()
        reduced = {int(axis) % rank for axis in axes or range(rank)}
        if source.axis in reduced:
            return None  # the same for every order of the channels
        gone = sum(axis < source.axis for axis in reduced) if rank_after < rank else 0
        return replace(source, axis=source.axis - gone)

    def freeze(self, layout: Layout) -> None:
        """Fix the order of the channels in a layout."""
        self._fixed.update(self._root(segment.group) for segment in layout.segments)

    def result(self) -> ChannelGroups:
        """What was found, without the groups whose order is fixed."""
        for (name, _), layout in self.axes.items():
            if name in self._fixed_tensors:
                self.freeze(layout)
        fixed = {self._root(group) for group in self._fixed}
        sizes = {group: size for group, size in self._sizes.items() if self._root(group) == group}
        free = {group: size for group, size in sizes.items() if group not in fixed and size > 1}
        axes = []
        for (name, axis), layout in self.axes.items():
            segments = tuple(replace(part, group=self._root(part.group)) for part in layout.segments)
            if any(part.group in free for part in segments):
                axes.append(ChannelAxis(name, axis, replace(layout, segments=segments)))
        return ChannelGroups(free, tuple(axes), tuple(dict.fromkeys(self.reasons)))

    def _new(self, size: int) -> Layout:
        group = len(self._sizes)
        self._sizes[group], self._same[group] = size, group
        return Layout((Segment(group, size),))

    def _use(self, name: str, axis: int, layout: Layout) -> None:
        """Note that an axis of a tensor has these channels; a constant must be the same for all."""
        shape = self.initializers.get(name)
        if shape is None:
            constant = self.graph.constants.get(name)
            if name and (constant is None or np.ptp(constant) != 0):
                raise _NotFollowedError
            return
        axis %= len(shape)
        if shape[axis] != layout.length:
            self.freeze(layout)
            return
        known = self.axes.setdefault((name, axis), layout)  # shared weights: one order for all calls
        self._unite(Channels(0, known), Channels(0, layout))

    def _unite(self, one: Channels, other: Channels) -> None:
        """Make the channels of two layouts the same; fixes both if they are not made alike."""

        def form(found: Channels) -> tuple[object, ...]:
            parts = [(part.channels, part.expand) for part in found.layout.segments]
            return found.axis, found.layout.outer, found.layout.inner, parts

        if form(one) != form(other):
            self.freeze(one.layout)
            self.freeze(other.layout)
            raise _NotFollowedError
        for mine, theirs in zip(one.layout.segments, other.layout.segments, strict=True):
            a, b = self._root(mine.group), self._root(theirs.group)
            self._same[max(a, b)] = min(a, b)

    def _root(self, group: int) -> int:
        while self._same[group] != group:
            group = self._same[group]
        return group

    def _shape(self, value: str) -> Shape:
        return self.shapes.get(value, ())
