"""Hostile ONNX files."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from registry import hostile
from small_networks import KERNEL

ONNX = "ONNX"
EVIL = "\x1b]0;gone\x07\x9b2J\nerror: all\u202efine"


def network(
    *nodes: onnx.NodeProto, kernel: TensorProto | None = None, others: Any = (), opset: int = 17
) -> onnx.ModelProto:
    """Nodes between the input ``x`` and ``a``, a Flatten and one Gemm."""
    graph = helper.make_graph(
        [
            *nodes,
            helper.make_node("Flatten", ["a" if nodes else "x"], ["f"]),
            helper.make_node("Gemm", ["f", "kernel"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", 1, 28, 28))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("n", 10))],
        initializer=[kernel or numpy_helper.from_array(KERNEL, "kernel"), *others],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def save(path: Path, model: onnx.ModelProto, more: bytes = b"") -> None:
    path.write_bytes(model.SerializeToString() + more)


def field(number: int, content: bytes) -> bytes:
    """A field of protobuf with bytes as its value."""
    size, length = len(content), b""
    while True:
        size, low = size >> 7, size & 0x7F
        length += bytes([low | (0x80 if size else 0)])
        if not size:
            return bytes([number << 3 | 2]) + length + content


@hostile(ONNX, "empty.onnx", "no bytes at all")
def _(path: Path) -> None:
    path.write_bytes(b"")


@hostile(ONNX, "random.onnx", "random bytes")
def _(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(100_000))


@hostile(ONNX, "cut-off.onnx", "the first half of a network")
def _(path: Path) -> None:
    save(path, network())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@hostile(ONNX, "other-file.onnx", "weights in /etc/passwd")
def _(path: Path) -> None:
    kernel = TensorProto(name="kernel", dims=KERNEL.shape, data_type=TensorProto.FLOAT)
    kernel.data_location = TensorProto.EXTERNAL
    kernel.external_data.add(key="location", value="/etc/passwd")
    save(path, network(kernel=kernel))


@hostile(ONNX, "if.onnx", "a branch")
def _(path: Path) -> None:
    branch = helper.make_graph([helper.make_node("Identity", ["x"], ["z"])], "b", [], [])
    save(path, network(helper.make_node("If", ["c"], ["a"], then_branch=branch, else_branch=branch)))


@hostile(ONNX, "nested-graphs.onnx", "graphs inside one another, 2,000 deep")
def _(path: Path) -> None:
    content = b""
    for _ in range(2000):  # a graph in an attribute of a node of a graph
        content = field(1, field(5, field(6, content)))
    save(path, network(), field(7, content))


@hostile(ONNX, "functions.onnx", "functions of its own")
def _(path: Path) -> None:
    model = network()
    model.functions.add(name="f", domain="own")
    save(path, model)


@hostile(ONNX, "own-domain.onnx", "an operator of another domain")
def _(path: Path) -> None:
    save(path, network(helper.make_node("Run", ["x"], ["a"], domain="com.evil")))


@hostile(ONNX, "sparse.onnx", "a sparse tensor")
def _(path: Path) -> None:
    model = network()
    values = numpy_helper.from_array(np.ones(1, np.float32), "s")
    model.graph.sparse_initializer.add(values=values, dims=[1 << 40])
    save(path, model)


@hostile(ONNX, "huge-tensor.onnx", "a tensor that declares 2⁶² elements")
def _(path: Path) -> None:
    kernel = TensorProto(name="kernel", dims=(1 << 31, 1 << 31), data_type=TensorProto.FLOAT)
    save(path, network(kernel=kernel))


@hostile(ONNX, "short-tensor.onnx", "a tensor that holds fewer elements than it declares")
def _(path: Path) -> None:
    kernel = TensorProto(name="kernel", dims=KERNEL.shape, data_type=TensorProto.FLOAT, raw_data=b"1234")
    save(path, network(kernel=kernel))


@hostile(ONNX, "negative-axis.onnx", "a tensor with an axis of length -1")
def _(path: Path) -> None:
    save(path, network(kernel=TensorProto(name="kernel", dims=(-1, 10), data_type=TensorProto.FLOAT)))


@hostile(ONNX, "many-nodes.onnx", "two million empty nodes in 4 MB")
def _(path: Path) -> None:
    save(path, network(), field(7, b"\x0a\0" * 2_000_000))


@hostile(ONNX, "many-tensors.onnx", "two million empty tensors in 4 MB")
def _(path: Path) -> None:
    save(path, network(), field(7, b"\x2a\0" * 2_000_000))


@hostile(ONNX, "many-attributes.onnx", "two million empty attributes of one node in 4 MB")
def _(path: Path) -> None:
    save(path, network(), field(7, field(1, b"\x2a\0" * 2_000_000)))


@hostile(ONNX, "many-axes.onnx", "a value with two million axes")
def _(path: Path) -> None:
    shape = field(2, b"\x0a\0" * 2_000_000)
    save(path, network(), field(7, field(13, field(2, field(1, shape)))))


@hostile(ONNX, "unknown-fields.onnx", "a megabyte of fields that ONNX does not have", "read")
def _(path: Path) -> None:
    save(path, network(), field(15, bytes(1 << 20)) * 2)


@hostile(ONNX, "long-chain.onnx", "a chain of 5,000 nodes", "read")
def _(path: Path) -> None:
    names = ["x", *(f"v{index}" for index in range(4999)), "a"]
    save(path, network(*(helper.make_node("Relu", [a], [b]) for a, b in itertools.pairwise(names))))


@hostile(ONNX, "too-long-chain.onnx", "a chain of 12,000 nodes")
def _(path: Path) -> None:
    names = ["x", *(f"v{index}" for index in range(11_999)), "a"]
    save(path, network(*(helper.make_node("Relu", [a], [b]) for a, b in itertools.pairwise(names))))


@hostile(ONNX, "cycle.onnx", "two nodes that are each other's input")
def _(path: Path) -> None:
    save(path, network(helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])))


def _whole(name: str, *numbers: int) -> TensorProto:
    return numpy_helper.from_array(np.asarray(numbers, np.int64), name)


@hostile(ONNX, "expand.onnx", "an image expanded to 2⁴⁰ elements")
def _(path: Path) -> None:
    save(
        path, network(helper.make_node("Expand", ["x", "s"], ["a"]), others=[_whole("s", 1 << 40, 1, 28, 28)])
    )


@hostile(ONNX, "constant-of-shape.onnx", "zeros of a shape of 2⁴⁰ elements")
def _(path: Path) -> None:
    nodes = (helper.make_node("ConstantOfShape", ["s"], ["z"]), helper.make_node("Add", ["x", "z"], ["a"]))
    save(path, network(*nodes, others=[_whole("s", 1 << 20, 1 << 20)]))


@hostile(ONNX, "resize.onnx", "an image enlarged 100,000 times")
def _(path: Path) -> None:
    scales = numpy_helper.from_array(np.asarray([1, 1, 1e5, 1e5], np.float32), "s")
    save(path, network(helper.make_node("Resize", ["x", "", "s"], ["a"]), others=[scales]))


@hostile(ONNX, "padding.onnx", "padding by 2⁴⁰ pixels")
def _(path: Path) -> None:
    pads = _whole("p", 0, 0, 1 << 40, 1 << 40, 0, 0, 1 << 40, 1 << 40)
    save(path, network(helper.make_node("Pad", ["x", "p"], ["a"]), others=[pads]))


@hostile(ONNX, "zero-group.onnx", "a convolution with 0 groups")
def _(path: Path) -> None:
    weights = numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "w")
    save(path, network(helper.make_node("Conv", ["x", "w"], ["a"], group=0), others=[weights]))


@hostile(ONNX, "zero-stride.onnx", "pooling with strides of 0")
def _(path: Path) -> None:
    pool = helper.make_node("MaxPool", ["x"], ["a"], kernel_shape=[1, 1], strides=[0, 0])
    save(path, network(pool))


@hostile(ONNX, "not-utf-8.onnx", "names that are not UTF-8")
def _(path: Path) -> None:
    save(path, network(helper.make_node("Relu", ["x"], ["a"], name="named")))
    path.write_bytes(path.read_bytes().replace(b"named", b"n\xff\xfe\xfad"))


@hostile(ONNX, "control-characters.onnx", "names with control characters and marks of direction", "read")
def _(path: Path) -> None:
    save(path, network(helper.make_node("Relu", ["x"], ["a"], name=EVIL)))


@hostile(ONNX, "control-characters-in-an-error.onnx", "an operator with control characters")
def _(path: Path) -> None:
    save(path, network(helper.make_node("Relu" + EVIL, ["x"], ["a"], name=EVIL, domain=EVIL)))


@hostile(ONNX, "two-of-one-name.onnx", "two tensors of one name")
def _(path: Path) -> None:
    save(path, network(others=[numpy_helper.from_array(KERNEL * 2, "kernel")]))


@hostile(ONNX, "opset-1.onnx", "operators of version 1")
def _(path: Path) -> None:
    save(path, network(opset=1))


@hostile(ONNX, "opset-4000.onnx", "operators of version 4,000")
def _(path: Path) -> None:
    save(path, network(opset=4000))


@hostile(ONNX, "deep-card.onnx", "a card of 100,000 nested lists in its metadata")
def _(path: Path) -> None:
    model = network()
    model.metadata_props.add(key="toolkit_card", value="[" * 100_000 + "]" * 100_000)
    save(path, model)


@hostile(ONNX, "sparse-file.onnx", "a file of 3 GB that takes no room on the disk")
def _(path: Path) -> None:
    save(path, network())
    with path.open("r+b") as file:
        file.seek(3_000_000_000)
        file.write(b"\0")


@hostile(ONNX, "packed-numbers.onnx", "8 MB of numbers that take 64 MB in memory")
def _(path: Path) -> None:
    kernel = field(8, b"kernel") + b"\x10\x07" + field(7, bytes(8 << 20))
    save(path, network(), field(7, field(5, kernel)))
