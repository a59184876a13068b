"""Channels in another order leave a network's function as it was, whatever the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit.engine import Session
from toolkit.graph import Binding, Graph, Node
from toolkit.graph.axes import channel_groups
from toolkit.graph.channels import ChannelGroups, Channels, Layout, Segment, regrouped
from toolkit.graph.onnx_form import to_onnx
from toolkit.tensors import ArrayTensors, TensorRole

BATCH = 3


class Net:
    """A network of 8×8 pixels with random weights, wired node by node."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Node] = []
        self.arrays: dict[str, tuple[NDArray[Any], TensorRole]] = {}
        self.constants: dict[str, NDArray[Any]] = {}

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        output = f"v{len(self.nodes)}"
        self.nodes.append(Node(operator, inputs, (output,), attributes, layer=f"layer{len(self.nodes)}"))
        return output

    def tensor(self, *shape: int, positive: bool = False) -> str:
        name = f"t{len(self.arrays)}"
        array = self.rng.normal(0, 0.4, shape).astype(np.float32)
        self.arrays[name] = (np.abs(array) + 0.5 if positive else array, TensorRole.OTHER)
        return name

    def whole(self, *numbers: int) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(numbers, np.int64)
        return name

    def conv(self, x: str, inputs: int, outputs: int, *, group: int = 1) -> str:
        kernel = self.tensor(outputs, inputs // group, 3, 3)
        return self.add("Conv", x, kernel, self.tensor(outputs), pads=(1, 1, 1, 1), group=group)

    def norm(self, x: str, channels: int) -> str:
        names = [self.tensor(channels, positive=place in (0, 3)) for place in range(4)]
        return self.add("BatchNormalization", x, *names)

    def dense(self, x: str, inputs: int, outputs: int) -> str:
        return self.add("Gemm", x, self.tensor(inputs, outputs), self.tensor(outputs))

    def graph(self, output: str) -> Graph:
        bindings = tuple(map(Binding, self.arrays))
        return Graph(tuple(self.nodes), self.constants, bindings, "x", output, (1, 8, 8), (5,))


def sequential(net: Net) -> str:
    x = net.norm(net.add("Relu", net.conv("x", 1, 4)), 4)
    x = net.add("MaxPool", net.add("Relu", net.conv(x, 4, 6)), kernel_shape=(2, 2), strides=(2, 2))
    x = net.norm(net.add("Flatten", x), 96)
    return net.dense(net.add("Relu", net.dense(x, 96, 7)), 7, 5)


def residual(net: Net) -> str:
    stem = net.add("Relu", net.conv("x", 1, 4))
    branch = net.norm(net.conv(net.add("Relu", net.conv(stem, 4, 6)), 6, 4), 4)
    x = net.add("Relu", net.add("Add", branch, stem))
    return net.dense(net.add("Flatten", net.add("GlobalAveragePool", x)), 4, 5)


def depthwise(net: Net) -> str:
    x = net.add("Relu", net.conv("x", 1, 3))
    x = net.conv(x, 3, 6, group=3)
    x = net.conv(net.norm(x, 6), 6, 4)
    return net.dense(net.add("Flatten", net.add("GlobalMaxPool", x)), 4, 5)


def concatenating(net: Net) -> str:
    left, right = net.conv("x", 1, 3), net.conv("x", 1, 4)
    right = net.conv(right, 4, 8, group=4)
    x = net.norm(net.add("Concat", left, right, left, axis=1), 14)
    return net.dense(net.add("Flatten", x), 14 * 64, 5)


def channels_last(net: Net) -> str:
    x = net.add("Transpose", net.add("Relu", net.conv("x", 1, 4)), perm=(0, 2, 3, 1))
    x = net.add("Add", net.add("MatMul", x, net.tensor(4, 6)), net.tensor(6))
    x = net.add("LayerNormalization", x, net.tensor(6), net.tensor(6), axis=-1)
    return net.dense(net.add("Reshape", x, net.whole(0, -1)), 6 * 64, 5)


def gated(net: Net) -> str:
    x = net.add("PRelu", net.conv("x", 1, 4), net.tensor(4, 1, 1))
    pooled = net.add("ReduceMean", x, axes=(2, 3), keepdims=0)
    gate = net.add("Sigmoid", net.dense(net.add("Relu", net.dense(pooled, 4, 3)), 3, 4))
    x = net.add("Mul", x, net.add("Reshape", gate, net.whole(0, 4, 1, 1)))
    attention = net.add("Sigmoid", net.conv(x, 4, 1))
    return net.dense(net.add("Flatten", net.add("Mul", x, attention)), 256, 5)


def shared(net: Net) -> str:
    x = net.add("Relu", net.conv("x", 1, 4))
    kernel, bias = net.tensor(4, 4, 3, 3), net.tensor(4)
    for _ in range(3):
        x = net.add("Relu", net.add("Conv", x, kernel, bias, pads=(1, 1, 1, 1)))
    return net.dense(net.add("Flatten", net.add("GlobalAveragePool", x)), 4, 5)


def tied(net: Net) -> str:
    """One kernel is used a second time by an operation that is not followed."""
    kernel = net.tensor(16, 8)
    x = net.add("Relu", net.dense(net.add("Flatten", net.conv("x", 1, 1)), 64, 16))
    x = net.add("Relu", net.add("Gemm", x, kernel))
    return net.dense(net.add("Gemm", x, net.add("Transpose", kernel, perm=(1, 0))), 16, 5)


def frozen_by_an_unknown_operation(net: Net) -> str:
    x = net.add("DepthToSpace", net.conv("x", 1, 4), blocksize=2)
    x = net.add("Flatten", net.conv(x, 1, 3))
    return net.dense(x, 3 * 256, 5)


NETWORKS: dict[str, tuple[Callable[[Net], str], list[int]]] = {
    "sequential": (sequential, [4, 6, 7]),
    "residual": (residual, [4, 6]),
    "depthwise": (depthwise, [3, 4]),
    "concatenating": (concatenating, [3, 4]),
    "channels last": (channels_last, [4, 6]),
    "gated": (gated, [3, 4]),
    "shared": (shared, [4]),
    "tied": (tied, []),
    "frozen": (frozen_by_an_unknown_operation, [3]),
}


def built(name: str) -> tuple[Graph, ArrayTensors, ChannelGroups]:
    net = Net()
    graph = net.graph(NETWORKS[name][0](net))
    tensors = ArrayTensors(net.arrays)
    return graph, tensors, channel_groups(graph, tensors.specs)


@pytest.mark.parametrize("name", NETWORKS)
def test_any_order_of_the_channels_keeps_the_function(name: str) -> None:
    graph, tensors, groups = built(name)
    assert sorted(groups.sizes.values()) == NETWORKS[name][1]
    rng = np.random.default_rng(1)
    orders = {group: np.roll(rng.permutation(size), 1) for group, size in groups.sizes.items()}
    moved = {
        tensor: (groups.reorder(tensor, tensors.read(tensor), orders), TensorRole.OTHER) for tensor in tensors
    }
    changed = [name for name, (array, _) in moved.items() if not np.array_equal(array, tensors.read(name))]
    assert bool(changed) == bool(orders)
    images = rng.normal(size=(BATCH, 1, 8, 8)).astype(np.float32)
    (before,) = Session(to_onnx(graph, tensors), "before").run({"x": images})
    (after,) = Session(to_onnx(graph, ArrayTensors(moved)), "after").run({"x": images})
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_an_operation_that_is_not_known_is_named() -> None:
    assert built("frozen")[2].frozen == ("DepthToSpace of layer layer1",)
    assert built("sequential")[2].frozen == ()


def test_every_use_of_a_groups_channels_is_listed() -> None:
    _, _, groups = built("residual")
    axes = [(found.tensor, found.axis) for found in groups.axes if found.layout.segments[0].group == 0]
    # the stem's kernel and bias, the branch's first input and last output, its normalisation, the head
    assert sorted(axes) == [
        *(("t0", 0), ("t1", 0), ("t10", 0), ("t2", 1), ("t4", 0), ("t5", 0)),
        *(("t6", 0), ("t7", 0), ("t8", 0), ("t9", 0)),
    ]


@pytest.mark.parametrize(
    ("before", "axis", "after", "expected"),
    [
        ((None, 3, 4, 5), 1, (None, 60), Channels(1, Layout((Segment(0, 3),), 1, 20))),
        ((None, 4, 5, 3), 3, (None, 60), Channels(1, Layout((Segment(0, 3),), 20, 1))),
        ((None, 3, 4, 5), 1, (None, 1, 3, 20), Channels(2, Layout((Segment(0, 3),)))),
        ((None, 3, 4, 5), 1, (None, 5, 12), None),
    ],
)
def test_channels_are_found_again_after_a_reshape(
    before: tuple[int | None, ...], axis: int, after: tuple[int | None, ...], expected: Channels | None
) -> None:
    start = Channels(axis, Layout((Segment(0, 3),)))
    assert regrouped(start, before, after) == expected
    if expected is not None:
        assert regrouped(expected, after, before) == start
