"""``compact-cnn``: small, cheap per image, quick to train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.types import BuildRequest
from toolkit_cnn.options import CompactOptions
from toolkit_cnn.seeds import layer_seed

if TYPE_CHECKING:
    import keras

# The default of 0.99 follows too slowly: after one epoch of a few hundred steps the running
# statistics still describe the untrained network, and validation says nothing.
_MOMENTUM = 0.95


def build_compact_cnn(request: BuildRequest) -> keras.Model:
    """Build the network.

    A 5×5 stem that halves the resolution at once, since convolutions at 28×28 are where an
    EMNIST network spends its time; four 3×3 convolutions, of which two halve it again; a dense
    layer on what is left, because where a stroke lies tells characters apart that a global mean
    would confuse. Convolutions have no bias: batch normalisation follows, and folds into them on
    export.

    Args:
        request: Its options are :class:`CompactOptions`; height and width of 8 or above.

    Returns:
        An untrained network, every layer named and seeded.
    """
    import keras
    from keras import layers

    options = request.options if isinstance(request.options, CompactOptions) else CompactOptions()
    width, seed = options.width, request.seed

    def initializer(layer: str) -> Any:
        return keras.initializers.HeNormal(seed=layer_seed(seed, layer))

    def normalised(inputs: Any, name: str) -> Any:
        outputs = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(inputs)
        return layers.ReLU(name=f"{name}_relu")(outputs)

    def convolution(inputs: Any, name: str, filters: int, size: int, strides: int) -> Any:
        outputs = layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding="same",
            use_bias=False,
            kernel_initializer=initializer(name),
            name=name,
        )(inputs)
        return normalised(outputs, name)

    image = keras.Input(request.input_shape, name="image")
    x = convolution(image, "stem", width, size=5, strides=2)
    x = convolution(x, "conv1", width, size=3, strides=1)
    x = convolution(x, "conv2", 2 * width, size=3, strides=2)
    x = convolution(x, "conv3", 2 * width, size=3, strides=1)
    x = convolution(x, "conv4", 4 * width, size=3, strides=2)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(options.dropout, seed=layer_seed(seed, "dropout1"), name="dropout1")(x)
    x = layers.Dense(
        options.features, use_bias=False, kernel_initializer=initializer("features"), name="features"
    )(x)
    x = normalised(x, "features")
    x = layers.Dropout(options.dropout, seed=layer_seed(seed, "dropout2"), name="dropout2")(x)
    outputs = layers.Dense(
        request.classes,
        activation="softmax",
        kernel_initializer=keras.initializers.GlorotUniform(seed=layer_seed(seed, "classes")),
        name="classes",
    )(x)
    return keras.Model(image, outputs, name="compact_cnn")
