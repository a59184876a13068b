"""Networks over rows, other normalisations and sizes: each computes what Keras computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_networks import IMAGE, TOLERANCE, check, difference, fill, run

from toolkit_keras.read_keras import read_keras

# --- rows: 8 steps of 21 numbers -----------------------------------------------------------

ROWS: dict[str, Callable[[Any], list[Any]]] = {
    "conv": lambda nn: [nn.Conv1D(4, 3, activation="relu")],
    "conv same": lambda nn: [nn.Conv1D(4, 4, strides=2, padding="same", use_bias=False)],
    "conv causal": lambda nn: [nn.Conv1D(4, 3, padding="causal", dilation_rate=2)],
    "conv causal strides": lambda nn: [nn.Conv1D(4, 3, padding="causal", strides=2)],
    "conv groups": lambda nn: [nn.Conv1D(6, 3, groups=3)],
    "depthwise": lambda nn: [nn.DepthwiseConv1D(3, depth_multiplier=2, padding="same")],
    "separable": lambda nn: [nn.SeparableConv1D(5, 3, depth_multiplier=2, activation="tanh")],
    "transposed": lambda nn: [nn.Conv1DTranspose(4, 3, strides=2, padding="same")],
    "max pool": lambda nn: [nn.MaxPooling1D(3, strides=2, padding="same")],
    "average pool": lambda nn: [nn.AveragePooling1D(2)],
    "global average": lambda nn: [nn.GlobalAveragePooling1D()],
    "global max": lambda nn: [nn.GlobalMaxPooling1D(keepdims=True)],
    "padding": lambda nn: [nn.ZeroPadding1D((1, 2))],
    "cropping": lambda nn: [nn.Cropping1D(2)],
    "up-sampling": lambda nn: [nn.UpSampling1D(3)],
    "dropout": lambda nn: [nn.SpatialDropout1D(0.3)],
    "layer norm": lambda nn: [nn.LayerNormalization(epsilon=1e-6)],
    "group norm": lambda nn: [nn.GroupNormalization(7)],
    "flattened": lambda nn: [nn.Conv1D(4, 3), nn.MaxPooling1D(2), nn.Flatten(), nn.Dense(5)],
}


@pytest.mark.parametrize("name", ROWS)
def test_rows(keras: Any, name: str, tmp_path: Path) -> None:
    layers = ROWS[name](keras.layers)
    check(keras, keras.Sequential([keras.Input((8, 21)), *layers]), tmp_path)


def test_784_numbers_as_one_row(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((784,)),
            layers.Reshape((784, 1)),
            layers.Conv1D(4, 9, strides=4, activation="relu"),
            layers.MaxPooling1D(4),
            layers.Flatten(),
            layers.Dense(5, activation="softmax"),
        ]
    )
    check(keras, model, tmp_path)


def test_a_vector_repeated(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input(IMAGE), layers.Conv2D(2, 3), layers.Flatten(), layers.RepeatVector(3), layers.Dense(4)]
    )
    check(keras, model, tmp_path)


# --- images --------------------------------------------------------------------------------

IMAGES: dict[str, Callable[[Any], list[Any]]] = {
    "group norm": lambda nn: [nn.Conv2D(6, 2), nn.GroupNormalization(3)],
    "group norm, one group": lambda nn: [nn.Conv2D(6, 2), nn.GroupNormalization(1, scale=False)],
    "group norm, each channel": lambda nn: [nn.Conv2D(6, 2), nn.GroupNormalization(-1, center=False)],
    "group norm bare": lambda nn: [nn.Conv2D(6, 2), nn.GroupNormalization(2, scale=False, center=False)],
    "group norm axis 1": lambda nn: [nn.GroupNormalization(4, axis=1, epsilon=0.1)],
    "group norm flat": lambda nn: [nn.Conv2D(6, 2), nn.Flatten(), nn.GroupNormalization(3), nn.Dense(4)],
    "unit norm": lambda nn: [nn.Conv2D(6, 2), nn.UnitNormalization()],
    "unit norm over images": lambda nn: [nn.Conv2D(6, 2), nn.UnitNormalization(axis=[1, 2])],
    "unit norm flat": lambda nn: [nn.Conv2D(6, 2), nn.Flatten(), nn.UnitNormalization(), nn.Dense(4)],
    "rms norm": lambda nn: [nn.Conv2D(6, 2), nn.RMSNormalization()],
    "rms norm flat": lambda nn: [nn.Conv2D(6, 2), nn.Flatten(), nn.RMSNormalization(), nn.Dense(4)],
    "layer norm by deviation": lambda nn: [nn.Conv2D(6, 2), nn.LayerNormalization(rms_scaling=True)],
    "batch norm axis 1 flat": lambda nn: [nn.Conv2D(4, 2), nn.Flatten(), nn.BatchNormalization(axis=1)],
    "resizing to itself": lambda nn: [nn.Resizing(8, 7), nn.Conv2D(3, 2)],
    "resizing larger": lambda nn: [nn.Resizing(19, 23)],
    "resizing smaller": lambda nn: [nn.Resizing(5, 3)],
    "resizing nearest": lambda nn: [nn.Resizing(13, 5, interpolation="nearest")],
    "resizing cropped": lambda nn: [nn.Resizing(12, 6, crop_to_aspect_ratio=True)],
    "center crop": lambda nn: [nn.CenterCrop(5, 4)],
    "center crop of less": lambda nn: [nn.CenterCrop(10, 9)],
    "random crop of all": lambda nn: [nn.RandomCrop(8, 7), nn.Conv2D(3, 2)],
    "transposed output padding": lambda nn: [
        nn.Conv2DTranspose(4, 3, strides=2, padding="same", output_padding=1)
    ],
    "transposed output padding valid": lambda nn: [
        nn.Conv2DTranspose(4, 3, strides=3, output_padding=(1, 2))
    ],
    "transposed groups of strides": lambda nn: [
        nn.Conv2DTranspose(4, (5, 2), strides=(3, 1), padding="same")
    ],
}


@pytest.mark.parametrize("name", IMAGES)
def test_images(keras: Any, name: str, tmp_path: Path) -> None:
    layers = IMAGES[name](keras.layers)
    check(keras, keras.Sequential([keras.Input(IMAGE), *layers]), tmp_path)


@pytest.mark.parametrize(("given", "wanted"), [(28, 32), (28, 224), (96, 28), (29, 31), (224, 28)])
def test_sizes_that_float32_rounds(keras: Any, given: int, wanted: int, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((given, given, 1)), keras.layers.Resizing(wanted, wanted)])
    model.save(tmp_path / "a.keras")
    # In white noise, float32's error in a coordinate becomes visible.
    assert difference(model, read_keras(tmp_path / "a.keras")) < 2 * TOLERANCE


def test_a_transposed_convolution_with_dilation(keras: Any, tmp_path: Path) -> None:
    """TensorFlow cannot run it on a processor: compared with the same kernel with zeros between."""
    layers = keras.layers
    spread = keras.Sequential([keras.Input(IMAGE), layers.Conv2DTranspose(4, 5, use_bias=False, name="up")])
    model = keras.Sequential(
        [keras.Input(IMAGE), layers.Conv2DTranspose(4, 3, dilation_rate=2, use_bias=False, name="up")]
    )
    fill(model, 1)
    kernel = np.zeros((5, 5, 4, 3), np.float32)
    kernel[::2, ::2] = model.get_weights()[0]
    spread.set_weights([kernel])
    model.save(tmp_path / "a.keras")
    x = np.random.default_rng(0).normal(size=(2, *IMAGE)).astype(np.float32)
    assert np.abs(run(read_keras(tmp_path / "a.keras"), x) - np.asarray(spread(x))).max() < TOLERANCE


def test_volumes(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6, 5, 7, 2)),
            layers.ZeroPadding3D(((1, 0), (0, 1), (2, 0))),
            layers.Conv3D(3, (2, 3, 2), padding="same", activation="relu"),
            layers.MaxPooling3D(2),
            layers.UpSampling3D(2),
            layers.Cropping3D(((1, 0), (0, 0), (1, 1))),
            layers.AveragePooling3D(2, padding="same"),
            layers.GlobalAveragePooling3D(),
        ]
    )
    check(keras, model, tmp_path)


def test_more_augmentation_does_nothing_at_inference(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(IMAGE),
            *(layers.MixUp(), layers.CutMix(), layers.RandAugment(), layers.AugMix()),
            *(layers.Solarization(0.5), layers.RandomErasing()),
            layers.RandomColorJitter(brightness_factor=0.2),
        ]
    )
    model.save(tmp_path / "a.keras")
    assert difference(model, read_keras(tmp_path / "a.keras")) == 0
