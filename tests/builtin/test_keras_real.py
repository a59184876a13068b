"""Other people's networks: the logits are those of Keras, for every file that Keras can load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_files import read_any, run
from numpy.typing import NDArray

from toolkit.graph.onnx_form import to_onnx
from toolkit.model import Model

LOADABLE = [
    "kayode004-byclass.h5",
    "moonflower2022-mnist.h5",
    "moonflower2022-mnist.keras",
    "msbrdmr-byclass.h5",
    "excal21-a-z97.h5",
    "excal21-a-z98.h5",
]
TOLERANCE = 1e-5  # of the largest logit


def images(shared: Path) -> NDArray[np.uint8]:
    digits = np.loadtxt(
        shared / "data" / "emnist" / "emnist-byclass-test.csv", np.uint8, delimiter=",", max_rows=60
    )
    return np.asarray(digits[:, 1:].reshape(-1, 28, 28, 1))


def logits(model: Model, x: NDArray[Any]) -> NDArray[Any]:
    """The input of the softmax at the end."""
    import onnxruntime

    graph = model.build_graph()
    last = next(node for node in graph.nodes if graph.output in node.outputs)
    assert last.operator == "Softmax"
    proto = to_onnx(graph, model.tensors)
    proto.graph.output[0].name = last.inputs[0]
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    return np.asarray(session.run(None, {graph.input: x})[0])


@pytest.mark.parametrize("scale", [1.0, 255.0])
@pytest.mark.parametrize("name", LOADABLE)
def test_logits_are_those_of_keras(keras: Any, shared: Path, name: str, scale: float) -> None:
    path = shared / "models" / name
    network, model = keras.models.load_model(path, compile=False), read_any(path)
    x = images(shared).astype(np.float32) / np.float32(255 / scale)
    expected = np.asarray(network(x, training=False))
    assert np.abs(run(model, x) - expected).max() < TOLERANCE * 2
    network.layers[-1].activation = keras.activations.linear
    expected = np.asarray(network(x, training=False))
    assert np.abs(logits(model, x) - expected).max() <= TOLERANCE * np.abs(expected).max()
