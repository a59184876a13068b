"""``compact-cnn``: few parameters, little work per image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.options import option
from toolkit.records import dataclass
from toolkit.types import BuildRequest
from toolkit_cnn.building import chain, layer_seed

if TYPE_CHECKING:
    import keras

# With the default of 0.99, running statistics still describe the untrained network after an epoch
# of a few hundred steps, so validation accuracy means nothing.
_MOMENTUM = 0.95


@dataclass(frozen=True)
class CompactOptions:
    """Options of ``compact-cnn``."""

    width: int = option(
        32,
        help="channels of the first two convolutions; the others have two and four times as many",
        minimum=4,
        maximum=256,
    )
    features: int = option(128, help="units of the dense layer before the classes", minimum=8, maximum=4096)
    dropout: float = option(
        0.3, help="share of features dropped before the dense layers", minimum=0.0, maximum=0.9
    )


def build_compact_cnn(request: BuildRequest) -> keras.Model:
    """Build the network, for images of 8×8 pixels or more.

    A 5×5 convolution halves the resolution at once, because convolutions at 28×28 take most of an
    EMNIST network's time. Then four 3×3 convolutions, two of which halve it again, and a dense layer
    on all positions, because a global mean would lose where a stroke is.
    """
    import keras
    from keras import layers

    options: CompactOptions = request.options
    width, seed = options.width, request.seed

    def normalised(layer: keras.Layer) -> tuple[keras.Layer, ...]:
        norm = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{layer.name}_norm")
        return layer, norm, layers.ReLU(name=f"{layer.name}_relu")

    def without_bias(name: str) -> dict[str, Any]:
        he_normal = keras.initializers.HeNormal(seed=layer_seed(seed, name))
        return {"use_bias": False, "kernel_initializer": he_normal, "name": name}

    def convolution(name: str, filters: int, size: int, strides: int) -> tuple[keras.Layer, ...]:
        layer = layers.Conv2D(filters, size, strides=strides, padding="same", **without_bias(name))
        return normalised(layer)

    def dropout(name: str) -> keras.Layer:
        return layers.Dropout(options.dropout, seed=layer_seed(seed, name), name=name)

    glorot = keras.initializers.GlorotUniform(seed=layer_seed(seed, "classes"))
    stack = (
        *convolution("stem", width, size=5, strides=2),
        *convolution("conv1", width, size=3, strides=1),
        *convolution("conv2", 2 * width, size=3, strides=2),
        *convolution("conv3", 2 * width, size=3, strides=1),
        *convolution("conv4", 4 * width, size=3, strides=2),
        layers.Flatten(name="flatten"),
        dropout("dropout1"),
        *normalised(layers.Dense(options.features, **without_bias("features"))),
        dropout("dropout2"),
        layers.Dense(request.classes, activation="softmax", kernel_initializer=glorot, name="classes"),
    )
    return chain("compact_cnn", request.input_shape, stack)
