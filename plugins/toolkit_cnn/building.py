"""What both architectures share: seeds by layer name, and chains of layers."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def layer_seed(seed: int, layer: str) -> int:
    """The seed of one layer, 0 to 2**31 - 1, from the seed of the network and the layer's name."""
    return zlib.crc32(f"{seed}\0{layer}".encode()) & 0x7FFFFFFF


def chain(name: str, input_shape: tuple[int, ...], layers: Iterable[keras.Layer]) -> keras.Model:
    """A network in which each layer receives the output of the one before."""
    import keras

    image = outputs = keras.Input(input_shape, name="image")
    for layer in layers:
        outputs = layer(outputs)
    return keras.Model(image, outputs, name=name)
