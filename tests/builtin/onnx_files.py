"""Little ONNX files made by hand."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from toolkit_onnx.reading import read

_FOLDER = TemporaryDirectory()
RNG = np.random.default_rng(0)


def array(name, *shape, kind=np.float32):
    return numpy_helper.from_array(RNG.normal(0, 0.2, shape).astype(kind), name)


def whole(name, *numbers):
    return numpy_helper.from_array(np.asarray(numbers, np.int64), name)


def make(nodes, initializers, *, shape=("n", 1, 28, 28), outputs=(("y", ("n", 5)),), opset=17, **extra):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, axes) for name, axes in outputs],
        initializer=initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, **extra)


def small(**options):
    """Conv, batch normalisation, pooling, dense."""
    nodes = [
        helper.make_node("Conv", ["x", "c.weight", "c.bias"], ["a"], name="/c/Conv", strides=[2, 2]),
        helper.make_node(
            "BatchNormalization", ["a", "g", "b", "m", "v"], ["d"], name="/norm/BatchNormalization"
        ),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("Flatten", ["e"], ["f"]),
        helper.make_node("Gemm", ["f", "onnx::Gemm_7"], ["y"], name="/fc/Gemm"),
    ]
    tensors = [array("c.weight", 3, 1, 2, 2), array("c.bias", 3), array("g", 3), array("b", 3), array("m", 3)]
    tensors += [numpy_helper.from_array(np.ones(3, np.float32), "v"), array("onnx::Gemm_7", 588, 5)]
    return make(nodes, tensors, **options)


def as_model(proto, where="made.onnx"):
    return from_bytes(proto.SerializeToString(), where)


def from_bytes(content, where):
    """Read bytes as a file of the name ``where``, which is there until the tests end."""
    path = Path(mkdtemp(dir=_FOLDER.name), where)
    path.write_bytes(content)
    return read(path)
