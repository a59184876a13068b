"""Networks wired node by node, and orders to export them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx_files import from_bytes

from toolkit.declarations import ExportRequest
from toolkit.model import Card, Parent
from toolkit.vocabulary import Convention
from toolkit_onnx import DirectOptions

CARD = Card(
    name="five",
    classes=("a", "b", "c", "d", "é"),
    convention=Convention("transposed", "standard", "dark", 0.25, 0.5),
    metrics={"validation_accuracy": 0.5},
    parents=(Parent("a.h5", "0" * 64, 0.5),),
)


class Wiring:
    """A graph that grows; a value's shape is known without the batch."""

    def __init__(self, seed: int, shape: tuple[int, ...] = (1, 28, 28)) -> None:
        self.rng = np.random.default_rng(seed)
        self.shapes = {"x": shape}
        self.nodes, self.tensors = [], []

    def tensor(self, array) -> str:
        name = f"t{len(self.tensors)}"
        kind = np.int64 if np.asarray(array).dtype.kind == "i" else np.float32
        self.tensors.append(numpy_helper.from_array(np.asarray(array, kind), name))
        return name

    def add(self, operation, *inputs, shape=None, **attributes) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        self.shapes[name] = shape or self.shapes[inputs[0]]
        return name

    def norm(self, x, *, positive=False):
        n, rng = self.shapes[x][0], self.rng
        gamma = rng.uniform(0.5, 1.5, n) * (1 if positive else rng.choice([-1, 1], n))
        parts = [gamma, rng.normal(0, 0.5, n), rng.normal(0, 0.5, n), rng.uniform(0.3, 2, n)]
        return self.add("BatchNormalization", x, *map(self.tensor, parts), epsilon=1e-3)

    def conv(self, x, outputs, *, kernel=3, pad=1, stride=1, group=1, bias=True):
        channels, height, width = self.shapes[x]
        fan = channels // group * kernel**2
        weights = [self.tensor(self.rng.normal(0, fan**-0.5, (outputs, channels // group, kernel, kernel)))]
        weights += [self.tensor(self.rng.normal(0, 0.3, outputs))] if bias else []
        size = [(length + 2 * pad - kernel) // stride + 1 for length in (height, width)]
        options = {"pads": [pad] * 4, "strides": [stride] * 2, "group": group}
        return self.add("Conv", x, *weights, shape=(outputs, *size), **options)

    def transposed_conv(self, x, outputs):
        channels, height, width = self.shapes[x]
        kernel = self.tensor(self.rng.normal(0, (channels * 4) ** -0.5, (channels, outputs, 2, 2)))
        return self.add("ConvTranspose", x, kernel, shape=(outputs, height * 2, width * 2), strides=[2, 2])

    def pool(self, x, kind="MaxPool", **options):
        channels, height, width = self.shapes[x]
        return self.add(
            kind, x, shape=(channels, height // 2, width // 2), kernel_shape=[2, 2], strides=[2, 2], **options
        )

    def flat(self, x, *, reshape=False):
        size = int(np.prod(self.shapes[x]))
        if reshape:
            return self.add("Reshape", x, self.tensor(np.array([-1, size])), shape=(size,))
        return self.add("Flatten", x, shape=(size,))

    def dense(self, x, outputs, *, kind="Gemm"):
        (inputs,) = self.shapes[x]
        kernel = self.rng.normal(0, inputs**-0.5, (inputs, outputs))
        bias = self.tensor(self.rng.normal(0, 0.3, outputs))
        if kind == "MatMul":
            product = self.add("MatMul", x, self.tensor(kernel), shape=(outputs,))
            return self.add("Add", product, bias)
        if kind == "turned":
            return self.add(
                "Gemm", x, self.tensor(kernel.T), bias, shape=(outputs,), transB=1, alpha=0.5, beta=2.0
            )
        return self.add("Gemm", x, self.tensor(kernel), bias, shape=(outputs,))

    def model(self, x, *, softmax=True, card=CARD, opset=17):
        x = self.add("Softmax", x, axis=-1) if softmax else x
        graph = helper.make_graph(
            self.nodes,
            "random",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *self.shapes["x"]])],
            [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["n", *self.shapes[x]])],
            initializer=self.tensors,
        )
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        return from_bytes(proto.SerializeToString(), "random").with_card(card)


def emnist_like(*, relu_first: bool, positive: bool = True):
    """The two usual orders: conv, norm, relu, and conv, relu, norm."""
    net = Wiring(3)
    x = "x"
    for channels in (4, 6):
        x = net.conv(x, channels)
        x = net.norm(net.add("Relu", x), positive=positive) if relu_first else net.add("Relu", net.norm(x))
        x = net.pool(x)
    x = net.add("Dropout", net.add("Identity", net.flat(x)))
    x = net.norm(net.add("Relu", net.dense(x, 16, kind="MatMul")))
    return net.model(net.dense(x, 5))


def request(model, folder: Path, **options) -> ExportRequest:
    real = np.random.default_rng(1).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    return ExportRequest(model, folder / "out.onnx", DirectOptions(**options), real)


def kinds(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]
