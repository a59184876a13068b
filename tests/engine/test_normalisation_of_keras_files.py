"""Statistics measured in onnxruntime fit the tensors of a Keras file, however the graph rearranges them."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.engine import Network, batch_statistics
from toolkit.tensors import OverlaidTensors

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def keras():
    pytest.importorskip("tensorflow")
    from toolkit.training.framework import load_tensorflow

    load_tensorflow()
    import keras

    return keras


@pytest.fixture
def network(keras):
    """Normalised before and after Flatten; Keras and the graph order the features differently."""
    layers = keras.layers
    image = keras.Input((28, 28, 1), name="image")
    x = layers.Conv2D(6, 3, strides=2, activation="relu", name="conv")(image)
    x = layers.BatchNormalization(name="norm")(x)
    side = layers.BatchNormalization(scale=False, name="side")(layers.Conv2D(6, 1, name="one")(x))
    x = layers.MaxPooling2D(3, name="pool")(layers.Add(name="add")([x, side]))
    x = layers.BatchNormalization(name="flat_norm")(layers.Flatten(name="flat")(x))
    x = layers.Dropout(0.5, name="drop")(x)
    made = keras.Model(image, layers.Dense(5, activation="softmax", name="head")(x), name="net")
    rng = np.random.default_rng(0)
    for name in ("norm", "side", "flat_norm"):
        made.get_layer(name).beta.assign(rng.normal(0, 1, made.get_layer(name).beta.shape))
    return made


def test_agrees_with_keras_layer_by_layer(keras, network, images, tmp_path):
    from toolkit_keras.read_keras import read_keras

    network.save(tmp_path / "net.keras")
    model = read_keras(tmp_path / "net.keras")
    found = batch_statistics(model, images)
    inputs = (images / np.float32(255))[..., np.newaxis]
    for name in ("norm", "side", "flat_norm"):
        layer = network.get_layer(name)
        values = np.asarray(keras.Model(network.input, layer.input)(inputs, training=False), np.float64)
        values = values.reshape(-1, values.shape[-1])
        for weight, expected in (
            ("moving_mean", values.mean(axis=0)),
            ("moving_variance", values.var(axis=0)),
        ):
            assert np.abs(found[f"{name}/{weight}"] - expected).max() <= 1e-5 * np.abs(expected).max()
        layer.moving_mean.assign(found[f"{name}/moving_mean"])
        layer.moving_variance.assign(found[f"{name}/moving_variance"])
    recalibrated = model.with_tensors(OverlaidTensors(model.tensors, found))
    answers = Network.of(recalibrated).probabilities(images)
    np.testing.assert_allclose(answers, np.asarray(network(inputs, training=False)), atol=1e-5)
