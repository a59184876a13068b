"""``emnist-cnn``: the network that the toolkit's users come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.types import BuildRequest
from toolkit_cnn.options import OriginalOptions
from toolkit_cnn.seeds import layer_seed

if TYPE_CHECKING:
    import keras


def build_emnist_cnn(request: BuildRequest) -> keras.Model:
    """Build the network: 879,390 parameters with 62 classes on 28×28×1.

    [conv 32, batch norm, conv 32, max-pool, dropout 0.2], [conv 64, batch norm, conv 64,
    max-pool, dropout 0.2], [conv 128, batch norm, max-pool, dropout 0.3], dense 512, batch norm,
    dropout 0.3, dense 256, dropout 0.3, softmax; 3×3, same padding, ReLU.

    Args:
        request: Its options are :class:`OriginalOptions`; height and width of 8 or above.

    Returns:
        An untrained network, every layer named and seeded.
    """
    import keras
    from keras import layers

    options = request.options if isinstance(request.options, OriginalOptions) else OriginalOptions()
    seed = request.seed

    def initializer(layer: str) -> Any:
        return keras.initializers.GlorotUniform(seed=layer_seed(seed, layer))

    def convolution(inputs: Any, name: str, filters: int) -> Any:
        return layers.Conv2D(
            filters,
            3,
            padding="same",
            activation="relu",
            kernel_initializer=initializer(name),
            name=name,
        )(inputs)

    def dense(inputs: Any, name: str, units: int, activation: str) -> Any:
        return layers.Dense(units, activation=activation, kernel_initializer=initializer(name), name=name)(
            inputs
        )

    def dropout(inputs: Any, name: str, rate: float) -> Any:
        scaled = min(rate * options.dropout_scale, 0.9)
        return layers.Dropout(scaled, seed=layer_seed(seed, name), name=name)(inputs)

    image = keras.Input(request.input_shape, name="image")
    x = convolution(image, "conv1", 32)
    x = layers.BatchNormalization(name="norm1")(x)
    x = convolution(x, "conv2", 32)
    x = layers.MaxPooling2D(name="pool1")(x)
    x = dropout(x, "dropout1", 0.2)
    x = convolution(x, "conv3", 64)
    x = layers.BatchNormalization(name="norm2")(x)
    x = convolution(x, "conv4", 64)
    x = layers.MaxPooling2D(name="pool2")(x)
    x = dropout(x, "dropout2", 0.2)
    x = convolution(x, "conv5", 128)
    x = layers.BatchNormalization(name="norm3")(x)
    x = layers.MaxPooling2D(name="pool3")(x)
    x = dropout(x, "dropout3", 0.3)
    x = layers.Flatten(name="flatten")(x)
    x = dense(x, "dense1", 512, "relu")
    x = layers.BatchNormalization(name="norm4")(x)
    x = dropout(x, "dropout4", 0.3)
    x = dense(x, "dense2", 256, "relu")
    x = dropout(x, "dropout5", 0.3)
    outputs = dense(x, "classes", request.classes, "softmax")
    return keras.Model(image, outputs, name="emnist_cnn")
