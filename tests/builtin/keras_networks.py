"""Networks that Keras builds, and how far a graph's outputs are from Keras' own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_files
import numpy as np
import onnx

from toolkit.graph.onnx_form import to_onnx
from toolkit.model import Model
from toolkit_keras.read_h5 import read_h5
from toolkit_keras.read_keras import read_keras

TOLERANCE = 1e-5
IMAGE = (8, 7, 3)


def fill(model: Any, seed: int) -> None:
    """Random weights of a size at which no activation dies, positive variances."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        shape = tuple(variable.shape)
        name = variable.name
        if "variance" in name:
            values = random.uniform(0.3, 2.0, shape)
        elif "gamma" in name:
            values = random.uniform(0.5, 1.5, shape)
        elif "kernel" in name:
            fan = max(1, int(np.prod(shape[:-1])))
            values = random.normal(0, 1.5 / np.sqrt(fan), shape)
        elif "count" in name:
            values = np.zeros(shape)
        else:
            values = random.normal(0, 0.5, shape)
        variable.assign(values.astype(np.dtype(variable.dtype)))
    for layer in model._flatten_layers():
        if layer.__class__.__name__ == "Normalization":
            layer.finalize_state()  # or it goes on with the statistics that it was built with


def run(model: Model, x: np.ndarray) -> np.ndarray:
    """The model's outputs, of a graph that ONNX's own checker accepts."""
    onnx.checker.check_model(to_onnx(model.build_graph(), model.tensors), full_check=True)
    return keras_files.run(model, x)


def difference(keras_model: Any, model: Model, seed: int = 7) -> float:
    """Largest difference to Keras at batch 1 and 3, relative to the outputs' size where that is above 1."""
    random = np.random.default_rng(seed)
    worst = 0.0
    for batch in (1, 3):
        x = random.normal(0, 1, (batch, *model.input_shape)).astype(np.float32)
        expected = np.asarray(keras_model(x, training=False))
        result = run(model, x)
        assert result.shape == expected.shape
        assert expected.std() > 0, "the network is dead: the comparison would show nothing"
        worst = max(worst, float(np.abs(result - expected).max() / max(1.0, np.abs(expected).max())))
    return worst


def through_both_formats(keras_model: Any, folder: Path) -> dict[str, Model]:
    keras_model.save(folder / "a.h5")
    keras_model.save(folder / "a.keras")
    return {"h5": read_h5(folder / "a.h5"), "keras": read_keras(folder / "a.keras")}


def check(keras: Any, model: Any, folder: Path, record: Callable[[str, object], None] | None = None) -> None:
    fill(model, 1)
    found = {suffix: difference(model, read) for suffix, read in through_both_formats(model, folder).items()}
    if record is not None:
        record("largest_difference", max(found.values()))
    assert max(found.values()) < TOLERANCE, found


def residual(keras: Any) -> Any:
    layers = keras.layers
    start = keras.Input(IMAGE)
    x = layers.Conv2D(4, 3, padding="same")(start)
    y = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", activation="relu")(x))
    x = layers.Add()([x, y])
    return keras.Model(start, layers.Dense(5)(layers.Flatten()(x)))


def shared_layers(keras: Any) -> Any:
    layers = keras.layers
    start = keras.Input(IMAGE)
    conv, dense = layers.Conv2D(3, 3, padding="same"), layers.Dense(6)
    norm, slope = layers.BatchNormalization(), layers.PReLU()
    x = norm(conv(conv(start)))
    flat = dense(layers.Flatten()(slope(x)))
    plain = dense(layers.Flatten()(norm(slope(start))))
    last = layers.Dense(6)
    return keras.Model(start, layers.Add()([last(flat), last(last(plain))]))
