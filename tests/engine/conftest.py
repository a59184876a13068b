"""Small networks made by hand, for tests of the engine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit.data import Dataset
from toolkit.graph import AS_STORED, Binding, Graph, Node
from toolkit.model import Card, Model
from toolkit.tensors import ArrayTensors, TensorRole


class NetworkBuilder:
    """Wires a network node by node; tensors are random but seeded."""

    def __init__(self, seed: int = 0, input_shape: tuple[int, ...] = (1, 28, 28), opset: int = 17) -> None:
        self.rng = np.random.default_rng(seed)
        self.input_shape = input_shape
        self.opset = opset
        self.nodes: list[Node] = []
        self.arrays: dict[str, tuple[NDArray[np.generic], TensorRole]] = {}
        self.bindings: list[Binding] = []
        self.constants: dict[str, NDArray[np.generic]] = {}

    def add(self, operation: str, *inputs: str, **attributes: object) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(Node(operation, inputs, (name,), attributes))
        return name

    def tensor(self, name, array, role, rearrangement=AS_STORED, dtype=np.float32) -> str:
        self.arrays[name] = (np.asarray(array, dtype), role)
        self.bindings.append(Binding(name, rearrangement))
        return name

    def constant(self, name: str, array: NDArray[np.generic]) -> str:
        self.constants[name] = array
        return name

    def conv(
        self, x: str, name: str, inputs: int, outputs: int, *, kernel: int = 3, pad: int = 1, stride: int = 1
    ):
        weight = self.rng.normal(0, (2 / (inputs * kernel**2)) ** 0.5, (outputs, inputs, kernel, kernel))
        bias = self.rng.normal(0, 0.3, outputs)
        self.tensor(f"{name}/kernel", weight, TensorRole.KERNEL)
        self.tensor(f"{name}/bias", bias, TensorRole.BIAS)
        attributes = {"kernel_shape": [kernel] * 2, "pads": [pad] * 4, "strides": [stride] * 2}
        return self.add("Conv", x, f"{name}/kernel", f"{name}/bias", **attributes)

    def dense(self, x: str, name: str, inputs: int, outputs: int) -> str:
        self.tensor(f"{name}/kernel", self.rng.normal(0, inputs**-0.5, (inputs, outputs)), TensorRole.KERNEL)
        self.tensor(f"{name}/bias", self.rng.normal(0, 0.3, outputs), TensorRole.BIAS)
        return self.add("Gemm", x, f"{name}/kernel", f"{name}/bias")

    def norm(self, x: str, name: str, channels: int, rearrangement=AS_STORED, dtype=np.float32) -> str:
        rng = self.rng
        parts = {
            "gamma": (rng.uniform(0.5, 1.5, channels), TensorRole.SCALE),
            "beta": (rng.normal(0, 0.5, channels), TensorRole.SHIFT),
            "moving_mean": (rng.normal(0, 1, channels), TensorRole.RUNNING_MEAN),
            "moving_variance": (rng.uniform(0.5, 2, channels), TensorRole.RUNNING_VARIANCE),
        }
        names = [
            self.tensor(f"{name}/{part}", array, role, rearrangement, dtype)
            for part, (array, role) in parts.items()
        ]
        return self.add("BatchNormalization", x, *names, epsilon=1e-3)

    def model(self, output: str, classes: int, *, card: Card | None = None) -> Model:
        made = Graph(
            nodes=tuple(self.nodes),
            constants=self.constants,
            bindings=tuple(self.bindings),
            input="image",
            output=output,
            input_shape=self.input_shape,
            output_shape=(classes,),
            opsets={"": self.opset},
        )
        tensors = ArrayTensors(self.arrays)
        return Model(
            tensors, card or Card(name="by hand"), lambda: made, self.input_shape, (classes,), "onnx"
        )


@pytest.fixture
def build() -> Callable[..., NetworkBuilder]:
    return NetworkBuilder


@pytest.fixture
def images() -> NDArray[np.uint8]:
    """90 glyph-like images: strokes of light ink on a dark ground, no two alike."""
    rng = np.random.default_rng(7)
    made = np.zeros((90, 28, 28), np.uint8)
    for image in made:
        for _ in range(3):
            row, column = rng.integers(4, 20, 2)
            height, width = rng.integers(1, 8, 2)
            image[row : row + height, column : column + width] = rng.integers(100, 256)
    return made


@pytest.fixture
def dataset(images: NDArray[np.uint8]) -> Dataset:
    return Dataset("strokes", ("a", "b", "c", "d", "e"), images, np.arange(len(images), dtype=np.int32) % 5)
