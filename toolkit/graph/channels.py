"""How an axis of a tensor is made of channels, and how their order is changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from toolkit.records import dataclass

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Segment:
    """Consecutive entries of an axis that belong to one group of channels.

    Each channel has ``expand`` consecutive entries, as after a depthwise convolution.
    """

    group: int
    channels: int
    expand: int = 1


@dataclass(frozen=True)
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
        """The order of the axis' entries, from an order of each group's channels (by default unchanged)."""
        parts, start = [], 0
        for part in self.segments:
            channels = orders.get(part.group, np.arange(part.channels))
            entries = np.arange(part.channels * part.expand).reshape(part.channels, part.expand)
            parts.append(start + entries[channels].ravel())
            start += entries.size
        places = np.arange(self.length).reshape(self.outer, start, self.inner)
        return places[:, np.concatenate(parts)].ravel()


@dataclass(frozen=True)
class ChannelAxis:
    """One axis of an initializer that is made of channels."""

    tensor: str
    axis: int
    layout: Layout


@dataclass(frozen=True)
class ChannelGroups:
    """The channels of a network that can be reordered.

    Attributes:
        sizes: Number of channels by group.
        axes: Every axis that has channels of these groups.
        frozen: Operations that fix the order of their input's channels.
    """

    sizes: Mapping[int, int]
    axes: tuple[ChannelAxis, ...]
    frozen: tuple[str, ...]

    def reorder(
        self, name: str, initializer: NDArray[np.generic], orders: Mapping[int, NDArray[np.intp]]
    ) -> NDArray[np.generic]:
        """An initializer, in the graph's form, with its channels in another order.

        The network's function stays the same if all initializers get the same orders.
        """
        for found in self.axes:
            if found.tensor == name:
                initializer = np.take(initializer, found.layout.order(orders), axis=found.axis)
        return initializer


@dataclass(frozen=True)
class Channels:
    """Where a value has its channels: the axis, batch included, and its layout."""

    axis: int
    layout: Layout


def regrouped(channels: Channels, before: Shape, after: Shape) -> Channels | None:
    """Where the channels are after a reshape between two shapes, batch included; None if they are cut up."""
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
