"""Which axes of a network's tensors belong to the same channels.

The channels of a hidden layer can be put in another order without changing the network's function,
if every tensor that produces or uses them is put in the same order. Which axes of which tensors
these are follows from the graph: :func:`channel_groups` derives it for any network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from toolkit.graph.graph import Graph, Node
from toolkit.tensors import TensorSpec

Shape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive entries of an axis that belong to one group of channels.

    Attributes:
        group: Number of the group.
        channels: How many.
        expand: Consecutive entries for each channel, as after a depthwise convolution.
    """

    group: int
    channels: int
    expand: int = 1


@dataclass(frozen=True, slots=True)
class Layout:
    """How an axis is made of channels: ``outer`` times all segments, each entry ``inner`` times.

    A map of c channels and h×w pixels is flattened to ``inner=h*w`` with channels first, and to
    ``outer=h*w`` with channels last.
    """

    segments: tuple[Segment, ...]
    outer: int = 1
    inner: int = 1

    @property
    def length(self) -> int:
        """Number of entries of the axis."""
        return self.outer * self.inner * sum(part.channels * part.expand for part in self.segments)

    def order(self, orders: Mapping[int, NDArray[np.intp]]) -> NDArray[np.intp]:
        """The order of the axis' entries, from an order of each group's channels.

        Args:
            orders: By group; a group that is missing keeps its order.
        """
        parts, start = [], 0
        for part in self.segments:
            channels = orders.get(part.group, np.arange(part.channels))
            entries = np.arange(part.channels * part.expand).reshape(part.channels, part.expand)
            parts.append(start + entries[channels].ravel())
            start += entries.size
        places = np.arange(self.length).reshape(self.outer, start, self.inner)
        return places[:, np.concatenate(parts)].ravel()


@dataclass(frozen=True, slots=True)
class ChannelAxis:
    """One axis of an initializer that is made of channels."""

    tensor: str
    axis: int
    layout: Layout


@dataclass(frozen=True, slots=True)
class ChannelGroups:
    """The channels of a network that can be reordered.

    Attributes:
        sizes: Number of channels by group.
        axes: Every axis that has channels of these groups.
        frozen: Operations that fix the order of the channels they take, and why.
    """

    sizes: Mapping[int, int]
    axes: tuple[ChannelAxis, ...]
    frozen: tuple[str, ...]

    def reorder(
        self, name: str, initializer: NDArray[np.generic], orders: Mapping[int, NDArray[np.intp]]
    ) -> NDArray[np.generic]:
        """An initializer with its channels in another order; the network's function stays the same.

        Args:
            name: Of the initializer.
            initializer: As the graph takes it.
            orders: A permutation for each group that changes, used for all initializers alike.
        """
        for found in self.axes:
            if found.tensor == name:
                initializer = np.take(initializer, found.layout.order(orders), axis=found.axis)
        return initializer


@dataclass(frozen=True, slots=True)
class Channels:
    """Where a value has its channels: the axis, batch included, and its layout."""

    axis: int
    layout: Layout


def regrouped(channels: Channels, before: Shape, after: Shape) -> Channels | None:
    """Where the channels are after a reshape; None if they are cut up.

    Args:
        before: Shape with the batch axis, which stays.
        after: The same, of the result.
    """
    if None in before[1:] or None in after[1:]:
        return None
    old = [int(size or 0) for size in before[1:]]
    new = [int(size or 0) for size in after[1:]]
    place, layout = channels.axis - 1, channels.layout
    outer = math.prod(old[:place]) * layout.outer
    inner = math.prod(old[place + 1 :]) * layout.inner
    length = layout.length // (layout.outer * layout.inner)
    for axis, size in enumerate(new):
        own_outer, rest = divmod(outer, math.prod(new[:axis]))
        own_inner, rest_inner = divmod(inner, math.prod(new[axis + 1 :]))
        if not rest and not rest_inner and size == own_outer * length * own_inner:
            return Channels(axis + 1, replace(layout, outer=own_outer, inner=own_inner))
    return None


def channel_groups(
    graph: Graph, specs: Mapping[str, TensorSpec], shapes: Mapping[str, Shape] | None = None
) -> ChannelGroups:
    """Derive which axes of which initializers must be reordered together.

    Args:
        graph: Of a network that can be run.
        specs: Of the model's tensors.
        shapes: Of all values, batch included; inferred by ONNX if None.
    """
    initializers = {
        binding.tensor: binding.rearrangement.shape(specs[binding.tensor].shape) for binding in graph.bindings
    }
    if shapes is None:
        from toolkit.graph.onnx_form import inferred_shapes

        shapes = inferred_shapes(graph, initializers)
    walk = _Walk(graph, initializers, shapes)
    for node in graph.nodes:
        walk.visit(node)
    if graph.output in walk.channels:
        walk.freeze(walk.channels[graph.output].layout)
    return walk.result()


_EACH_ELEMENT = frozenset(
    {
        *("Abs", "Cast", "Celu", "Clip", "Dropout", "Elu", "Erf", "Exp", "HardSigmoid", "HardSwish"),
        *("Identity", "LeakyRelu", "Log", "Mish", "Neg", "Reciprocal", "Relu", "Selu", "Sigmoid"),
        *("Softplus", "Softsign", "Sqrt", "Tanh", "ThresholdedRelu"),
    }
)
_ALONG_AN_AXIS = frozenset({"LogSoftmax", "Softmax"})  # do the same whatever the order of channels
_BROADCAST = frozenset(
    {
        *("Add", "Div", "Greater", "Less", "Max", "Mean", "Min", "Mul", "PRelu", "Pow", "Sub", "Sum"),
        "Where",
    }
)
_SPATIAL = frozenset(
    {
        *("AveragePool", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool", "MaxPool"),
        *("Pad", "Resize", "Upsample"),
    }
)
_RESHAPES = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
_PER_CHANNEL = frozenset({"BatchNormalization", "InstanceNormalization"})


@dataclass
class _Walk:
    """Follows channels from the input to the output."""

    graph: Graph
    initializers: Mapping[str, tuple[int, ...]]
    shapes: Mapping[str, Shape]
    channels: dict[str, Channels] = field(default_factory=dict)
    axes: list[ChannelAxis] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    _same: dict[int, int] = field(default_factory=dict)
    _sizes: dict[int, int] = field(default_factory=dict)
    _fixed: set[int] = field(default_factory=set)

    def visit(self, node: Node) -> None:
        """Follow the channels through one node; one that is not known fixes those that it takes."""
        found = self._follow(node) if not node.domain else None
        if found is None:
            taken = [self.channels[value].layout for value in node.inputs if value in self.channels]
            if taken:
                self.reasons.append(f"{node.operator} of layer {node.layer or node.outputs[0]}")
            for layout in taken:
                self.freeze(layout)
        elif found:
            self.channels[node.outputs[0]] = found[0]

    def _follow(self, node: Node) -> tuple[Channels, ...] | None:
        """Where the output has its channels: empty if nowhere, None if the node is not known."""
        operator = node.operator
        if operator in ("Conv", "ConvTranspose"):
            return self._convolution(node)
        if operator in ("Gemm", "MatMul"):
            return self._dense(node)
        if operator in _BROADCAST:
            return self._broadcast(node)
        if operator == "Concat":
            return self._concat(node)
        source = self.channels.get(node.inputs[0]) if node.inputs else None
        if source is None:
            return ()
        if operator in _EACH_ELEMENT or operator in _ALONG_AN_AXIS:
            return (source,)
        if operator in _PER_CHANNEL:
            if source.axis != 1:
                return None
            for name in node.inputs[1:]:
                if self._varies(name):
                    return None
                self._use(name, 0, source.layout)
            return (source,)
        if operator == "LayerNormalization":
            return self._layer_normalisation(node, source)
        if operator in _SPATIAL:
            same = self._length(node.outputs[0], 1) == self._length(node.inputs[0], 1)
            return (source,) if source.axis == 1 and same else None
        if operator == "Slice":
            axes = self.graph.constants.get((*node.inputs, "", "", "", "")[3], np.empty(0))
            rank = len(self.shapes.get(node.inputs[0], ()))
            untouched = axes.size > 0 and source.axis not in axes % max(rank, 1)
            return (source,) if untouched else None
        if operator in _RESHAPES:
            after = self.shapes.get(node.outputs[0])
            moved = regrouped(source, self.shapes.get(node.inputs[0], ()), after or ())
            return None if moved is None else (moved,)
        if operator == "Transpose":
            order = node.attributes.get("perm", ())
            return (replace(source, axis=order.index(source.axis)),) if source.axis in order else None
        if operator.startswith("Reduce"):
            return self._reduction(node, source)
        return None

    def _convolution(self, node: Node) -> tuple[Channels, ...] | None:
        source, kernel = self.channels.get(node.inputs[0]), node.inputs[1]
        shape = self.initializers.get(kernel)
        if shape is None or (source is not None and source.axis != 1):
            return None
        groups, transposed = node.attributes.get("group", 1), node.operator == "ConvTranspose"
        bias = node.inputs[2] if len(node.inputs) > 2 else ""
        if groups == 1:
            if source is not None:
                self._use(kernel, 0 if transposed else 1, source.layout)
            layout = self._new(shape[1 if transposed else 0])
            self._use(kernel, 1 if transposed else 0, layout)
        elif source is not None and not transposed and groups == source.layout.length:
            layout = replace(source.layout, inner=source.layout.inner * (shape[0] // groups))
            self._use(kernel, 0, layout)
        else:
            return None
        self._use(bias, 0, layout)
        return (Channels(1, layout),)

    def _dense(self, node: Node) -> tuple[Channels, ...] | None:
        value, kernel = node.inputs[:2]
        shape, source = self.initializers.get(kernel), self.channels.get(value)
        rank = len(self.shapes.get(value, ()))
        if shape is None or len(shape) != 2 or node.attributes.get("transA") or rank < 2:
            return None
        if source is not None and source.axis != rank - 1:
            return None
        rows = 1 if node.attributes.get("transB") else 0
        if source is not None:
            self._use(kernel, rows, source.layout)
        layout = self._new(shape[1 - rows])
        self._use(kernel, 1 - rows, layout)
        if len(node.inputs) > 2:
            bias = self.initializers.get(node.inputs[2])
            if bias is None and node.inputs[2] in self.graph.constants:
                return None
            if bias is not None and bias[-1] > 1:
                self._use(node.inputs[2], len(bias) - 1, layout)
        return (Channels(rank - 1, layout),)

    def _broadcast(self, node: Node) -> tuple[Channels, ...] | None:
        """Operations on several values: channels at the same place, counted from the end, are the same."""
        rank = len(self.shapes.get(node.outputs[0], ()))
        found: Channels | None = None
        for value in node.inputs:
            own = self.channels.get(value)
            if own is None or own.layout.length == 1:
                continue
            placed = replace(own, axis=own.axis + rank - len(self.shapes.get(value, ())))
            if found is not None and not self._unite(found, placed):
                return None
            found = found or placed
        if found is None:
            return ()
        for value in node.inputs:
            if value in self.channels and self.channels[value].layout.length > 1:
                continue
            shape = self.initializers.get(value) or self.shapes.get(value, ())
            axis = found.axis - rank + len(shape)
            if axis < 0 or shape[axis] == 1:
                continue
            if value in self.initializers:
                self._use(value, axis, found.layout)
            elif value not in self.graph.constants or np.ptp(self.graph.constants[value], axis=axis).any():
                return None
        return (found,)

    def _concat(self, node: Node) -> tuple[Channels, ...] | None:
        rank = len(self.shapes.get(node.outputs[0], ()))
        axis = node.attributes.get("axis", 0) % max(rank, 1)
        parts = [self.channels.get(value) for value in node.inputs]
        known = [part for part in parts if part is not None]
        if not known:
            return ()
        if len(known) < len(parts) or any(part.axis != known[0].axis for part in known):
            return None
        if axis != known[0].axis:
            united = all(self._unite(known[0], part) for part in known[1:])
            return (known[0],) if united else None
        if any(part.layout.outer != 1 for part in known):
            return None
        segments = tuple(
            replace(segment, expand=segment.expand * part.layout.inner)
            for part in known
            for segment in part.layout.segments
        )
        return (Channels(axis, Layout(segments)),)

    def _layer_normalisation(self, node: Node, source: Channels) -> tuple[Channels, ...] | None:
        rank = len(self.shapes.get(node.inputs[0], ()))
        first = node.attributes.get("axis", -1) % max(rank, 1)
        for name in node.inputs[1:]:
            if source.axis >= first:
                if self._varies(name):
                    return None
                self._use(name, source.axis - first, source.layout)
        return (source,)

    def _reduction(self, node: Node, source: Channels) -> tuple[Channels, ...] | None:
        before, after = self.shapes.get(node.inputs[0], ()), self.shapes.get(node.outputs[0], ())
        axes = node.attributes.get("axes")
        if axes is None and len(node.inputs) > 1:
            axes = self.graph.constants.get(node.inputs[1], np.empty(0)).tolist()
        if not axes:
            return ()  # over everything, in any order
        reduced = {int(axis) % len(before) for axis in axes}
        if source.axis in reduced:
            return ()
        gone = sum(axis < source.axis for axis in reduced) if len(after) < len(before) else 0
        return (replace(source, axis=source.axis - gone),)

    def freeze(self, layout: Layout) -> None:
        """Fix the order of the channels in a layout."""
        self._fixed.update(self._root(segment.group) for segment in layout.segments)

    def result(self) -> ChannelGroups:
        """What was found, without the groups whose order is fixed."""
        fixed = {self._root(group) for group in self._fixed}
        sizes = {group: size for group, size in self._sizes.items() if self._root(group) == group}
        free = {group: size for group, size in sizes.items() if group not in fixed and size > 1}
        axes = []
        for found in self.axes:
            segments = tuple(replace(part, group=self._root(part.group)) for part in found.layout.segments)
            if any(part.group in free for part in segments):
                axes.append(replace(found, layout=replace(found.layout, segments=segments)))
        kept = tuple(dict.fromkeys(axes))
        return ChannelGroups(free, kept, tuple(dict.fromkeys(self.reasons)))

    def _new(self, size: int) -> Layout:
        group = len(self._sizes)
        self._sizes[group], self._same[group] = size, group
        return Layout((Segment(group, size),))

    def _use(self, name: str, axis: int, layout: Layout) -> None:
        shape = self.initializers.get(name)
        if shape is None:
            return
        if shape[axis] != layout.length:
            self.freeze(layout)
            return
        for other in self.axes:
            if (other.tensor, other.axis) == (name, axis):  # shared weights: one order for all calls
                if not self._unite(Channels(0, other.layout), Channels(0, layout)):
                    self.freeze(layout)
                    self.freeze(other.layout)
                return
        self.axes.append(ChannelAxis(name, axis, layout))

    def _unite(self, one: Channels, other: Channels) -> bool:
        """Make two layouts the same channels; whether they are made alike."""
        pairs = list(self._aligned(one.layout, other.layout))
        if one.axis != other.axis or not pairs:
            return False
        for mine, theirs in pairs:
            a, b = self._root(mine), self._root(theirs)
            self._same[max(a, b)] = min(a, b)
        return True

    @staticmethod
    def _aligned(one: Layout, other: Layout) -> Iterator[tuple[int, int]]:
        def form(layout: Layout) -> list[tuple[int, int]]:
            return [(part.channels, part.expand) for part in layout.segments]

        if (one.outer, one.inner, form(one)) == (other.outer, other.inner, form(other)):
            for mine, theirs in zip(one.segments, other.segments, strict=True):
                yield mine.group, theirs.group

    def _root(self, group: int) -> int:
        while self._same[group] != group:
            group = self._same[group]
        return group

    def _varies(self, name: str) -> bool:
        """Whether an input is a constant whose elements differ, so that channels must keep their order."""
        return name in self.graph.constants and bool(np.ptp(self.graph.constants[name]) != 0)

    def _length(self, value: str, axis: int) -> int | None:
        shape = self.shapes.get(value, ())
        return shape[axis] if axis < len(shape) else None
