"""The graph of every supported layer computes what Keras computes, through both file formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from keras_networks import IMAGE, TOLERANCE, check, difference, fill

from toolkit.graph.head import head_of
from toolkit_keras.read_keras import read_keras

# --- one layer at a time -------------------------------------------------------------------

ONE_LAYER: dict[str, Callable[[Any], list[Any]]] = {
    "conv valid": lambda nn: [nn.Conv2D(4, 3)],
    "conv no bias": lambda nn: [nn.Conv2D(4, (2, 3), use_bias=False)],
    "conv same": lambda nn: [nn.Conv2D(4, 3, padding="same", activation="relu")],
    "conv same, even kernel": lambda nn: [nn.Conv2D(4, (4, 2), padding="same")],
    "conv same, strides": lambda nn: [nn.Conv2D(4, 3, strides=(2, 3), padding="same")],
    "conv same, strides above kernel": lambda nn: [nn.Conv2D(4, 1, strides=3, padding="same")],
    "conv valid, strides": lambda nn: [nn.Conv2D(4, (3, 2), strides=2)],
    "conv dilation": lambda nn: [nn.Conv2D(4, 3, dilation_rate=2)],
    "conv dilation same": lambda nn: [nn.Conv2D(4, 3, dilation_rate=(2, 1), padding="same")],
    "conv groups": lambda nn: [nn.Conv2D(6, 3, groups=3)],
    "depthwise": lambda nn: [nn.DepthwiseConv2D(3)],
    "depthwise multiplier": lambda nn: [
        nn.DepthwiseConv2D((3, 2), depth_multiplier=3, padding="same", activation="tanh")
    ],
    "depthwise strides": lambda nn: [nn.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)],
    "separable": lambda nn: [nn.SeparableConv2D(5, 3)],
    "separable multiplier": lambda nn: [
        nn.SeparableConv2D(
            5, 3, depth_multiplier=2, padding="same", strides=2, activation="elu", use_bias=False
        )
    ],
    "transposed valid": lambda nn: [nn.Conv2DTranspose(4, 3, strides=2)],
    "transposed same": lambda nn: [nn.Conv2DTranspose(4, 3, strides=2, padding="same")],
    "transposed, strides above kernel": lambda nn: [nn.Conv2DTranspose(4, 2, strides=3)],
    "transposed even": lambda nn: [nn.Conv2DTranspose(4, 4, strides=(2, 1), padding="same", use_bias=False)],
    "dense on images": lambda nn: [nn.Dense(5, activation="relu")],
    "dense on images, no bias": lambda nn: [nn.Dense(5, use_bias=False)],
    "batch norm": lambda nn: [nn.BatchNormalization()],
    "batch norm bare": lambda nn: [nn.BatchNormalization(scale=False, center=False, epsilon=1e-2)],
    "batch norm without scale": lambda nn: [nn.BatchNormalization(scale=False)],
    "batch norm without center": lambda nn: [nn.BatchNormalization(center=False)],
    "batch renorm": lambda nn: [nn.BatchNormalization(renorm=True)],
    "batch norm axis 1": lambda nn: [nn.BatchNormalization(axis=1)],
    "batch norm axis 2": lambda nn: [nn.Conv2D(4, 2), nn.BatchNormalization(axis=2), nn.Conv2D(4, 2)],
    "layer norm": lambda nn: [nn.LayerNormalization()],
    "layer norm bare": lambda nn: [nn.LayerNormalization(scale=False, center=False)],
    "layer norm all axes": lambda nn: [nn.LayerNormalization(axis=[1, 2, 3])],
    "layer norm rows": lambda nn: [nn.Conv2D(4, 2), nn.LayerNormalization(axis=[1, 3])],
    "max pool": lambda nn: [nn.MaxPooling2D()],
    "max pool same": lambda nn: [nn.MaxPooling2D(3, strides=2, padding="same")],
    "max pool strides": lambda nn: [nn.MaxPooling2D((2, 3), strides=(1, 2))],
    "average pool": lambda nn: [nn.AveragePooling2D(2)],
    "average pool same": lambda nn: [nn.AveragePooling2D(3, strides=2, padding="same")],
    "average pool same, uneven": lambda nn: [nn.AveragePooling2D((2, 3), strides=(2, 1), padding="same")],
    "global average": lambda nn: [nn.GlobalAveragePooling2D()],
    "global average keepdims": lambda nn: [nn.GlobalAveragePooling2D(keepdims=True)],
    "global max": lambda nn: [nn.GlobalMaxPooling2D()],
    "global max keepdims": lambda nn: [nn.GlobalMaxPooling2D(keepdims=True)],
    "zero padding": lambda nn: [nn.ZeroPadding2D(((1, 2), (0, 3)))],
    "cropping": lambda nn: [nn.Cropping2D(((1, 2), (0, 3)))],
    "up-sampling": lambda nn: [nn.UpSampling2D((2, 3))],
    "up-sampling bilinear": lambda nn: [nn.UpSampling2D((2, 3), interpolation="bilinear")],
    "rescaling": lambda nn: [nn.Rescaling(1 / 255.0, offset=-0.5)],
    "rescaling a channel each": lambda nn: [nn.Rescaling([1.0, 2.0, 3.0], offset=[0.5, 0.0, -1.0])],
    "normalization adapted": lambda nn: [nn.Normalization()],
    "normalization over rows": lambda nn: [nn.Conv2D(3, 2), nn.Normalization(axis=(1, 3))],
    "normalization of one number": lambda nn: [nn.Normalization(axis=None)],
    "normalization given": lambda nn: [nn.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])],
    "normalization inverted": lambda nn: [nn.Normalization(mean=0.2, variance=2.0, invert=True)],
    "flatten": lambda nn: [nn.Flatten()],
    "flatten after conv": lambda nn: [nn.Conv2D(4, 3), nn.Flatten()],
    "reshape": lambda nn: [nn.Reshape((4, -1, 6))],
    "reshape after conv": lambda nn: [nn.Conv2D(4, 3), nn.Reshape((-1, 10))],
    "reshape flat": lambda nn: [nn.Conv2D(4, 3), nn.Reshape((-1,))],
    "permute": lambda nn: [nn.Permute((3, 1, 2))],
    "permute between convs": lambda nn: [nn.Conv2D(4, 2), nn.Permute((2, 3, 1)), nn.Conv2D(3, 2)],
    "permute then flatten": lambda nn: [nn.Conv2D(4, 2), nn.Permute((3, 2, 1)), nn.Flatten()],
    "identity": lambda nn: [nn.Identity(), nn.Dropout(0.5), nn.SpatialDropout2D(0.3), nn.GaussianNoise(0.1)],
    "more noise": lambda nn: [nn.GaussianDropout(0.3), nn.AlphaDropout(0.1), nn.ActivityRegularization(0.1)],
    "augmentation": lambda nn: [
        nn.RandomFlip(),
        nn.RandomRotation(0.1),
        nn.RandomZoom(0.1),
        nn.RandomTranslation(0.1, 0.1),
        nn.RandomContrast(0.1),
        nn.RandomPerspective(),
        nn.RandomShear(0.1, 0.1),
    ],
    "relu": lambda nn: [nn.ReLU()],
    "relu max": lambda nn: [nn.ReLU(max_value=0.8)],
    "relu slope": lambda nn: [nn.ReLU(negative_slope=0.2)],
    "relu slope and max": lambda nn: [nn.ReLU(negative_slope=0.2, max_value=0.8)],
    "relu threshold": lambda nn: [nn.ReLU(threshold=0.3)],
    "relu all": lambda nn: [nn.ReLU(max_value=1.2, negative_slope=0.1, threshold=0.4)],
    "leaky relu": lambda nn: [nn.LeakyReLU()],
    "leaky relu slope": lambda nn: [nn.LeakyReLU(negative_slope=0.05)],
    "elu": lambda nn: [nn.ELU(alpha=0.7)],
    "prelu": lambda nn: [nn.Conv2D(4, 2), nn.PReLU()],
    "prelu shared": lambda nn: [nn.Conv2D(4, 2), nn.PReLU(shared_axes=[1, 2])],
    "softmax": lambda nn: [nn.Conv2D(4, 2), nn.Softmax()],
    "softmax axis": lambda nn: [nn.Conv2D(4, 2), nn.Softmax(axis=1)],
    "activation in a layer's configuration": lambda nn: [
        nn.Conv2D(4, 2, activation=nn.LeakyReLU(negative_slope=0.15))
    ],
}


@pytest.mark.parametrize("name", ONE_LAYER)
def test_one_layer(
    keras: Any, name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    layers = ONE_LAYER[name](keras.layers)
    check(keras, keras.Sequential([keras.Input(IMAGE), *layers]), tmp_path, record_property)


ACTIVATIONS = [
    *(
        "celu",
        "elu",
        "exponential",
        "gelu",
        "hard_sigmoid",
        "hard_silu",
        "hard_swish",
        "hard_tanh",
        "leaky_relu",
    ),
    *("linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softmax"),
    *("softplus", "softsign", "swish", "tanh", "tanh_shrink"),
]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(
    keras: Any, name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(IMAGE),
            layers.Conv2D(5, 3, activation=name),
            layers.Flatten(),
            layers.Rescaling(0.2),
            layers.Activation(name),
        ]
    )
    check(keras, model, tmp_path, record_property)


def test_augmentation_that_keras_saves_as_an_archive_only(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(IMAGE),
            layers.RandomBrightness(0.1),
            layers.RandomColorDegeneration(0.1),
            layers.RandomPosterization(3),
            layers.RandomSharpness(0.1),
        ]
    )
    model.save(tmp_path / "a.keras")
    assert difference(model, read_keras(tmp_path / "a.keras")) == 0


def test_functions_called_on_tensors_are_known_in_both_formats(keras: Any, tmp_path: Path) -> None:
    start = keras.Input(IMAGE)
    x = keras.layers.Conv2D(4, 3)(start)
    y = x + keras.activations.relu(x, max_value=1.0) * keras.ops.sigmoid(x)
    y = keras.activations.relu(keras.ops.maximum(y - keras.ops.tanh(x), keras.ops.gelu(x)))
    check(keras, keras.Model(start, keras.layers.Dense(3)(keras.layers.Flatten()(y))), tmp_path)


def test_gelu_by_tanh_and_other_functions_called_on_tensors(keras: Any, tmp_path: Path) -> None:
    start = keras.Input(IMAGE)
    x = keras.layers.Conv2D(4, 3)(start)
    y = keras.activations.gelu(x, approximate=True) + keras.ops.relu(x)
    y = keras.ops.concatenate([y, keras.ops.silu(x), keras.ops.leaky_relu(x, 0.3)], axis=-1)
    model = keras.Model(start, keras.ops.softmax(keras.layers.Flatten()(y)))
    fill(model, 2)
    model.save(tmp_path / "a.keras")
    read = read_keras(tmp_path / "a.keras")
    assert difference(model, read) < TOLERANCE
    assert head_of(read.build_graph()).scores == "probabilities"


# --- between Flatten and Dense -------------------------------------------------------------

BETWEEN: dict[str, Callable[[Any], list[Any]]] = {
    "nothing": lambda _: [],
    "dropout": lambda nn: [nn.Dropout(0.4)],
    "relu": lambda nn: [nn.ReLU()],
    "batch norm": lambda nn: [nn.BatchNormalization()],
    "batch norm bare, relu, dropout": lambda nn: [
        nn.BatchNormalization(scale=False, center=False),
        nn.ReLU(),
        nn.Dropout(0.1),
    ],
    "layer norm": lambda nn: [nn.LayerNormalization()],
    "prelu": lambda nn: [nn.PReLU()],
    "prelu shared": lambda nn: [nn.PReLU(shared_axes=[1])],
    "softmax": lambda nn: [nn.Softmax()],
    "normalization": lambda nn: [nn.Normalization()],
    "rescaling": lambda nn: [nn.Rescaling(0.5, 0.1)],
    "reshape to itself": lambda nn: [nn.Reshape((-1,))],
    "reshape to an image": lambda nn: [nn.Reshape((5, 4, 6)), nn.Conv2D(3, 2), nn.Flatten()],
    "permute": lambda nn: [nn.Permute((1,))],
}


@pytest.mark.parametrize("name", BETWEEN)
def test_between_flatten_and_dense(keras: Any, name: str, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input(IMAGE), layers.Conv2D(4, 3), layers.Flatten(), *BETWEEN[name](layers), layers.Dense(6)]
    )
    check(keras, model, tmp_path)


def test_arithmetic_with_numbers_and_means_called_on_tensors(keras: Any, tmp_path: Path) -> None:
    start = keras.Input(IMAGE)
    x = keras.layers.Conv2D(4, 3)(2.0 - start / 4.0)
    y = keras.ops.mean(keras.ops.square(x) * 0.5 + 1, axis=[1, 2])
    z = keras.ops.max(x, axis=-1, keepdims=True) - keras.ops.min(x, axis=3, keepdims=True)
    z = keras.ops.sum(keras.ops.absolute(-z) ** 2, axis=(1, 3))
    flat = keras.ops.log(keras.ops.sqrt(y) + 1.0) / keras.ops.maximum(y, 0.1)
    joined = keras.layers.Dense(3)(keras.layers.Flatten()(x)) + keras.layers.Dense(3)(flat)
    model = keras.Model(start, joined)
    check(keras, model, tmp_path)
    model = keras.Model(start, z)
    model.save(tmp_path / "b.keras")
    assert difference(model, read_keras(tmp_path / "b.keras")) < TOLERANCE
