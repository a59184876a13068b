"""``emnist-cnn``: the network of the original project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.options import option
from toolkit.records import dataclass
from toolkit.types import BuildRequest
from toolkit_cnn.building import chain, layer_seed

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class OriginalOptions:
    """Options of ``emnist-cnn``."""

    dropout_scale: float = option(
        1.0, help="factor for the dropout rates of 0.2 and 0.3", minimum=0.0, maximum=3.0
    )


def build_emnist_cnn(request: BuildRequest) -> keras.Model:
    """Build the network: 879,390 parameters with 62 classes on 28×28×1; 8×8 pixels or more."""
    import keras
    from keras import layers

    options: OriginalOptions = request.options

    def initialised(name: str, activation: str) -> dict[str, Any]:
        glorot = keras.initializers.GlorotUniform(seed=layer_seed(request.seed, name))
        return {"activation": activation, "kernel_initializer": glorot, "name": name}

    def convolution(name: str, filters: int) -> keras.Layer:
        return layers.Conv2D(filters, 3, padding="same", **initialised(name, "relu"))

    def dense(name: str, units: int, activation: str = "relu") -> keras.Layer:
        return layers.Dense(units, **initialised(name, activation))

    def dropout(name: str, rate: float) -> keras.Layer:
        scaled = min(rate * options.dropout_scale, 0.9)
        return layers.Dropout(scaled, seed=layer_seed(request.seed, name), name=name)

    stack = (
        convolution("conv1", 32),
        layers.BatchNormalization(name="norm1"),
        convolution("conv2", 32),
        layers.MaxPooling2D(name="pool1"),
        dropout("dropout1", 0.2),
        convolution("conv3", 64),
        layers.BatchNormalization(name="norm2"),
        convolution("conv4", 64),
        layers.MaxPooling2D(name="pool2"),
        dropout("dropout2", 0.2),
        convolution("conv5", 128),
        layers.BatchNormalization(name="norm3"),
        layers.MaxPooling2D(name="pool3"),
        dropout("dropout3", 0.3),
        layers.Flatten(name="flatten"),
        dense("dense1", 512),
        layers.BatchNormalization(name="norm4"),
        dropout("dropout4", 0.3),
        dense("dense2", 256),
        dropout("dropout5", 0.3),
        dense("classes", request.classes, "softmax"),
    )
    return chain("emnist_cnn", request.input_shape, stack)
