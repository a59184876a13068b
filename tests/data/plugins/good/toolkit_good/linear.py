"""Linear classifiers as NumPy archives: a ``kernel`` (784, classes) and a ``bias`` (classes,)."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from toolkit.errors import UnreadableInputError
from toolkit.graph import Binding, Graph, Node
from toolkit.model import Card, Model
from toolkit.tensors import ArrayTensors, TensorRole


def read(path: Path) -> Model:
    """Read a classifier; nothing from the file is run."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            kernel, bias = (archive[name].astype(np.float32) for name in ("kernel", "bias"))
    except (EOFError, KeyError, OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise UnreadableInputError(f"{path}: not a linear classifier: {error}") from error
    if bias.ndim != 1 or kernel.shape != (784, len(bias)):
        raise UnreadableInputError(f"{path}: kernel {kernel.shape} and bias {bias.shape} do not fit")
    shapes = {"input_shape": (28, 28, 1), "output_shape": bias.shape}
    graph = Graph(
        nodes=(
            Node("Flatten", ("image",), ("pixels",)),
            Node("Gemm", ("pixels", "linear/kernel", "linear/bias"), ("logits",), layer="linear"),
            Node("Softmax", ("logits",), ("probabilities",)),
        ),
        constants={},
        bindings=(Binding("linear/kernel"), Binding("linear/bias")),
        input="image",
        output="probabilities",
        **shapes,
    )
    tensors = ArrayTensors(
        {"linear/kernel": (kernel, TensorRole.KERNEL), "linear/bias": (bias, TensorRole.BIAS)}
    )
    return Model(tensors, Card(), lambda: graph, dialect="linear", path=path, **shapes)


def write(model: Model, path: Path) -> None:
    """Write a classifier that was read from this format."""
    tensors = model.tensors
    with path.open("wb") as file:
        np.savez(file, kernel=tensors.read("linear/kernel"), bias=tensors.read("linear/bias"))
