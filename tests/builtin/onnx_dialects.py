"""One small network as several exporters of ONNX spell it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

CLASSES = 5
SIZE = 8

Weights = dict[str, np.ndarray[Any, Any]]


def weights(seed: int) -> Weights:
    """Of relatives, by PyTorch's names and in its shapes: the outputs' axis is the first."""
    random, noise = np.random.default_rng(0), np.random.default_rng(seed)
    shapes = {
        "conv.weight": (4, 1, 3, 3),
        "conv.bias": (4,),
        "bn.weight": (4,),
        "bn.bias": (4,),
        "bn.running_mean": (4,),
        "bn.running_var": (4,),
        "fc.weight": (CLASSES, 4 * 16),
        "fc.bias": (CLASSES,),
    }
    made = {
        name: (random.normal(0, 0.4, shape) + noise.normal(0, 0.02, shape)).astype(np.float32)
        for name, shape in shapes.items()
    }
    made["bn.running_var"] = np.abs(made["bn.running_var"]) + 0.5
    return made


class Nodes:
    """Nodes and initializers that are collected as an exporter writes them."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[TensorProto] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; its output and name are ``/operator_n``."""
        name = f"/{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [f"{name}_output_0"], name=name, **attributes))
        return f"{name}_output_0"

    def constant(self, value: Any, kind: Any = np.int64) -> str:
        """A Constant node, as PyTorch writes numbers."""
        return self.add("Constant", value=numpy_helper.from_array(np.asarray(value, kind)))

    def initializer(self, name: str, array: np.ndarray[Any, Any]) -> str:
        """An initializer."""
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def finished(
        self, output: str, *, shape: tuple[Any, ...], batch: Any = "batch", opset: int = 17, **extra: Any
    ) -> ModelProto:
        """The model; its output is called ``output``."""
        self.nodes.append(helper.make_node("Identity", [output], ["output"], name="/Identity_last"))
        kind = extra.pop("kind", TensorProto.FLOAT)
        graph = helper.make_graph(
            self.nodes,
            "main_graph",
            [helper.make_tensor_value_info("input", kind, (batch, *shape))],
            [helper.make_tensor_value_info("output", kind, (batch, CLASSES))],
            initializer=self.initializers,
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", opset)],
            ir_version=8,
            producer_name="pytorch",
            **extra,
        )


def _trunk(nodes: Nodes, w: Weights, x: str = "input", *, folded: bool = False) -> str:
    conv, bias = w["conv.weight"], w["conv.bias"]
    if folded:
        scale = w["bn.weight"] / np.sqrt(w["bn.running_var"] + 1e-5)
        conv, bias = conv * scale[:, None, None, None], (bias - w["bn.running_mean"]) * scale + w["bn.bias"]
        names = ("onnx::Conv_20", "onnx::Conv_21")
    else:
        names = ("conv.weight", "conv.bias")
    tensors = [
        nodes.initializer(name, array.astype(np.float32))
        for name, array in zip(names, (conv, bias), strict=True)
    ]
    x = nodes.add("Conv", x, *tensors, pads=[1, 1, 1, 1], kernel_shape=[3, 3], strides=[1, 1], group=1)
    if not folded:
        parts = ("bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
        x = nodes.add(
            "BatchNormalization", x, *(nodes.initializer(name, w[name]) for name in parts), epsilon=1e-5
        )
    x = nodes.add("Relu", x)
    return nodes.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])


def _dense(nodes: Nodes, w: Weights, x: str) -> str:
    tensors = (nodes.initializer("fc.weight", w["fc.weight"]), nodes.initializer("fc.bias", w["fc.bias"]))
    return nodes.add("Gemm", x, *tensors, transB=1, alpha=1.0, beta=1.0)


def classic(w: Weights) -> ModelProto:
    """``torch.onnx.export``: Flatten and Gemm with transB."""
    nodes = Nodes()
    return nodes.finished(_dense(nodes, w, nodes.add("Flatten", _trunk(nodes, w), axis=1)), shape=(1, 8, 8))


def folded(w: Weights) -> ModelProto:
    """Constant folding merges the normalisation into the convolution."""
    nodes = Nodes()
    x = nodes.add("Flatten", _trunk(nodes, w, folded=True), axis=1)
    return nodes.finished(_dense(nodes, w, x), shape=(1, 8, 8))


def viewed(w: Weights) -> ModelProto:
    """``x.view(x.size(0), -1)``: Shape, Gather, Unsqueeze, Concat, Reshape."""
    nodes = Nodes()
    x = _trunk(nodes, w)
    size = nodes.add("Gather", nodes.add("Shape", x), nodes.constant(0), axis=0)
    axes = nodes.constant([0])
    batch = nodes.add("Unsqueeze", size, axes)
    rest = nodes.add("Unsqueeze", nodes.constant(-1), axes)
    x = nodes.add("Reshape", x, nodes.add("Concat", batch, rest, axis=0))
    return nodes.finished(_dense(nodes, w, x), shape=(1, 8, 8))


def viewed_in_opset_9(w: Weights) -> ModelProto:
    """The same before opset 13: axes are attributes."""
    nodes = Nodes()
    x = _trunk(nodes, w)
    size = nodes.add("Gather", nodes.add("Shape", x), nodes.constant(0), axis=0)
    batch = nodes.add("Unsqueeze", size, axes=[0])
    rest = nodes.add("Unsqueeze", nodes.constant(-1), axes=[0])
    x = nodes.add("Reshape", x, nodes.add("Concat", batch, rest, axis=0))
    return nodes.finished(_dense(nodes, w, x), shape=(1, 8, 8), opset=9)


def fixed_batch(w: Weights) -> ModelProto:
    """Exported for one image: shapes of 1."""
    nodes = Nodes()
    x = nodes.add("Reshape", _trunk(nodes, w), nodes.constant([1, 64]))
    return nodes.finished(_dense(nodes, w, x), shape=(1, 8, 8), batch=1)


def fixed_batch_counted(w: Weights) -> ModelProto:
    """Exported for one image with ``view(-1, 64)``."""
    nodes = Nodes()
    x = nodes.add("Reshape", _trunk(nodes, w), nodes.constant([-1, 64]))
    return nodes.finished(_dense(nodes, w, x), shape=(1, 8, 8), batch=1)


def dynamo(w: Weights) -> ModelProto:
    """``torch.onnx.export(dynamo=True)``: opset 18, reshape with allowzero, shapes from Shape(start, end)."""
    nodes = Nodes()
    x = _trunk(nodes, w)
    batch = nodes.add("Shape", "input", start=0, end=1)
    shape = nodes.add("Concat", batch, nodes.constant([64]), axis=0)
    x = nodes.add("Reshape", x, shape, allowzero=1)
    return nodes.finished(_dense(nodes, w, x), shape=(1, 8, 8), opset=18)


def transposed_matmul(w: Weights) -> ModelProto:
    """A dense layer as MatMul with a transposed weight, then Add."""
    nodes = Nodes()
    x = nodes.add("Flatten", _trunk(nodes, w), axis=1)
    kernel = nodes.add("Transpose", nodes.initializer("fc.weight", w["fc.weight"]), perm=[1, 0])
    x = nodes.add("Add", nodes.initializer("fc.bias", w["fc.bias"]), nodes.add("MatMul", x, kernel))
    return nodes.finished(x, shape=(1, 8, 8))


def pooled(w: Weights) -> ModelProto:
    """Adaptive pooling to one pixel, then Flatten; as ReduceMean in other versions."""
    nodes = Nodes()
    x = nodes.add("Flatten", nodes.add("GlobalAveragePool", _trunk(nodes, w)), axis=1)
    small = {**w, "fc.weight": w["fc.weight"][:, :4]}
    return nodes.finished(_dense(nodes, small, x), shape=(1, 8, 8))


def reduced(w: Weights) -> ModelProto:
    """``x.mean([2, 3])``."""
    nodes = Nodes()
    x = nodes.add("ReduceMean", _trunk(nodes, w), axes=[2, 3], keepdims=0)
    small = {**w, "fc.weight": w["fc.weight"][:, :4]}
    return nodes.finished(_dense(nodes, small, x), shape=(1, 8, 8))


def clipped(w: Weights) -> ModelProto:
    """ReLU6 as Clip with Constant nodes, and a Dropout that was left in."""
    nodes = Nodes()
    x = nodes.add("Clip", _trunk(nodes, w), nodes.constant(0.0, np.float32), nodes.constant(6.0, np.float32))
    x = nodes.add("Dropout", nodes.add("Flatten", x, axis=1))
    return nodes.finished(nodes.add("LogSoftmax", _dense(nodes, w, x), axis=1), shape=(1, 8, 8))


def squeezed(w: Weights) -> ModelProto:
    """``squeeze`` after pooling to one pixel."""
    nodes = Nodes()
    x = nodes.add("GlobalAveragePool", _trunk(nodes, w))
    x = nodes.add("Squeeze", x, nodes.constant([2, 3]))
    small = {**w, "fc.weight": w["fc.weight"][:, :4]}
    return nodes.finished(nodes.add("Softmax", _dense(nodes, small, x), axis=-1), shape=(1, 8, 8))


def unsqueezed(w: Weights) -> ModelProto:
    """Pictures without a channel axis: ``x.unsqueeze(1)``."""
    nodes = Nodes()
    x = nodes.add("Unsqueeze", "input", nodes.constant([1]))
    x = nodes.add("Flatten", _trunk(nodes, w, x), axis=1)
    return nodes.finished(_dense(nodes, w, x), shape=(8, 8))


def from_784(w: Weights) -> ModelProto:
    """Flat pixels: ``x.view(-1, 1, 8, 8)``."""
    nodes = Nodes()
    x = nodes.add("Reshape", "input", nodes.constant([-1, 1, 8, 8]))
    x = nodes.add("Flatten", _trunk(nodes, w, x), axis=1)
    return nodes.finished(_dense(nodes, w, x), shape=(64,))


def channels_last(w: Weights) -> ModelProto:
    """tf2onnx: Transpose pairs around the convolution, Reshape, MatMul and Add, an ``unk__`` batch."""
    nodes = Nodes()
    x = nodes.add("Transpose", "input", perm=[0, 3, 1, 2])
    x = nodes.add("Transpose", _trunk(nodes, w, x), perm=[0, 2, 3, 1])
    x = nodes.add("Reshape", x, nodes.initializer("const_fold_opt__42", np.array([-1, 64])))
    kernel = w["fc.weight"].reshape(CLASSES, 4, 4, 4).transpose(2, 3, 1, 0).reshape(64, CLASSES)
    x = nodes.add("MatMul", x, nodes.initializer("sequential/dense/MatMul/ReadVariableOp:0", kernel))
    bias = nodes.initializer("sequential/dense/BiasAdd/ReadVariableOp:0", w["fc.bias"])
    return nodes.finished(
        nodes.add("Softmax", nodes.add("Add", x, bias), axis=-1), shape=(8, 8, 1), batch="unk__9"
    )


def doubles(w: Weights) -> ModelProto:
    """Everything float64."""
    nodes = Nodes()
    wide = {name: array.astype(np.float64) for name, array in w.items()}
    x = "input"
    names = [nodes.initializer(name, wide[name]) for name in ("conv.weight", "conv.bias")]
    x = nodes.add("Relu", nodes.add("Conv", x, *names, pads=[1, 1, 1, 1]))
    x = nodes.add("Flatten", nodes.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), axis=1)
    return nodes.finished(_dense(nodes, wide, x), shape=(1, 8, 8), kind=TensorProto.DOUBLE)


def halves(w: Weights) -> ModelProto:
    """Everything float16."""
    nodes = Nodes()
    narrow = {name: array.astype(np.float16) for name, array in w.items()}
    names = [nodes.initializer(name, narrow[name]) for name in ("conv.weight", "conv.bias")]
    x = nodes.add("Relu", nodes.add("Conv", "input", *names, pads=[1, 1, 1, 1]))
    x = nodes.add("Flatten", nodes.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), axis=1)
    return nodes.finished(_dense(nodes, narrow, x), shape=(1, 8, 8), kind=TensorProto.FLOAT16)


def halves_between_casts(w: Weights) -> ModelProto:
    """onnxconverter-common: float32 at both ends, float16 inside."""
    nodes = Nodes()
    narrow = {name: array.astype(np.float16) for name, array in w.items()}
    x = nodes.add("Cast", "input", to=TensorProto.FLOAT16)
    names = [nodes.initializer(name, narrow[name]) for name in ("conv.weight", "conv.bias")]
    x = nodes.add("Relu", nodes.add("Conv", x, *names, pads=[1, 1, 1, 1]))
    x = nodes.add("Flatten", nodes.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), axis=1)
    x = nodes.add("Cast", _dense(nodes, narrow, x), to=TensorProto.FLOAT)
    return nodes.finished(x, shape=(1, 8, 8))


DIALECTS: dict[str, Callable[[Weights], ModelProto]] = {
    build.__name__: build
    for build in (
        *(classic, folded, viewed, viewed_in_opset_9, fixed_batch, fixed_batch_counted, dynamo),
        *(transposed_matmul, pooled, reduced, clipped, squeezed, unsqueezed, from_784, channels_last),
    )
}
NARROW_AND_WIDE = {build.__name__: build for build in (doubles, halves, halves_between_casts)}
