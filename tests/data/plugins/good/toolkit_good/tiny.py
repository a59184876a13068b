"""A network that trains in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.types import BuildRequest

if TYPE_CHECKING:
    import keras


def build(request: BuildRequest) -> keras.Model:
    """Build the network; every layer has a name, every initializer a seed."""
    import keras

    def initializer(number: int) -> keras.initializers.Initializer:
        return keras.initializers.GlorotUniform(seed=1000 * request.seed + number)

    return keras.Sequential(
        [
            keras.Input(request.input_shape, name="pixels"),
            keras.layers.Conv2D(
                request.options.filters,
                5,
                strides=2,
                activation="relu",
                kernel_initializer=initializer(1),
                name="conv",
            ),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(
                request.classes, activation="softmax", kernel_initializer=initializer(2), name="classes"
            ),
        ],
        name="tiny_cnn",
    )
