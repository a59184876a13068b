"""Networks for 28×28 glyphs that take their input in many ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Build = Callable[[Any], Any]


def flat_dense(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(9, activation="relu"), layers.Dense(5)]
    )


def pixels_784(keras: Any) -> Any:
    layers = keras.layers
    norm = layers.BatchNormalization()
    return keras.Sequential([keras.Input((784,)), norm, layers.PReLU(), layers.Dense(5, "softmax")])


def unpadded(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(4, 5, strides=2, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(5, activation="softmax"),
        ]
    )


def enlarged(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.UpSampling2D(2, interpolation="bilinear"),
            layers.Conv2D(3, 3, strides=2),
            layers.GroupNormalization(3),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )


def without_bias(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.AveragePooling2D(2),
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalMaxPooling2D(),
            layers.Dense(5),
        ]
    )


def normalised_first(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.BatchNormalization(),
            layers.Conv2D(3, 3, padding="same", activation="relu"),
            layers.LayerNormalization(axis=[1, 2, 3]),
            layers.PReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5),
        ]
    )


def rescaled_first(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 127.5, offset=-1.0),
            layers.Conv2D(3, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )


def standardised_first(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Normalization(axis=None, mean=0.2, variance=0.09),
            layers.Conv2D(3, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )


def learnt_normalization(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Normalization(axis=[1, 2, 3]),
            layers.Conv2D(3, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )


def branches(keras: Any) -> Any:
    layers = keras.layers
    start = keras.Input((28, 28, 1))
    x = layers.SeparableConv2D(4, 3)(start)
    y = layers.Conv2D(4, 3, activation="relu")(start)
    z = layers.DepthwiseConv2D(3, depth_multiplier=4)(start)
    x = layers.Concatenate()([layers.Add()([x, y]), z])
    gate = layers.Dense(8, activation="sigmoid")(layers.GlobalAveragePooling2D()(x))
    x = layers.Multiply()([x, layers.Reshape((1, 1, 8))(gate)])
    x = layers.Conv2DTranspose(3, 2, strides=2, activation="elu")(layers.MaxPooling2D()(x))
    x = layers.UpSampling2D()(layers.Cropping2D(1)(layers.ZeroPadding2D(2)(x)))
    x = layers.LayerNormalization()(x)
    return keras.Model(start, layers.Dense(5)(layers.Flatten()(x)))


def spread_pixels(keras: Any) -> Any:
    layers = keras.layers
    start = keras.Input((784,))
    x = layers.Reshape((28, 28, 1))(start)
    x = layers.Permute((2, 1, 3))(layers.Conv2D(3, 3, activation="relu")(x))
    x = layers.Dense(4, activation="gelu")(x)
    return keras.Model(start, layers.Dense(5)(layers.Flatten()(x)))


def pixels_without_channel(keras: Any) -> Any:
    layers = keras.layers
    start = keras.Input((28, 28))
    return keras.Model(start, layers.Dense(5)(layers.Flatten()(start)))


ANYTHING = [
    flat_dense,
    pixels_784,
    unpadded,
    enlarged,
    without_bias,
    normalised_first,
    standardised_first,
    learnt_normalization,
    pixels_without_channel,
]
"""Can be rewritten for every convention, without another description."""
