"""Batch statistics of the images as they are, not as the network learns from them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.data import Dataset

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

_AT_ONCE = 1024
_NOISE = ("rate", "stddev")  # what Keras' dropout and noise layers call their strength


class StatisticsSettler:
    """Sets the running means and variances to those of images that are not moved, without dropout.

    The running averages that training leaves behind belong to images that were shifted, turned
    and resampled, and lag behind the weights. Wu and Johnson, "Rethinking 'Batch' in BatchNorm",
    2021, section 3 (PreciseBN). Training itself never reads what is set here.

    Args:
        network: Its normalisation layers may be nested; frozen ones are left alone.
        pixels: From (b, 28, 28, 1) float32 in 0 to 1 to what the network takes.
    """

    def __init__(self, network: keras.Model, pixels: Any) -> None:
        self._normalisations = [
            layer
            for layer in flat_layers(network)
            if type(layer).__name__ == "BatchNormalization" and layer.trainable
        ]
        self._forward = _compile_forward(network, pixels, self._normalisations)

    def settle(self, images: NDArray[np.uint8]) -> None:
        """Set the statistics.

        Args:
            images: (n, 28, 28) uint8; thousands do. Without images, or in a network without
                normalisation, nothing happens.
        """
        if not len(images) or not self._normalisations:
            return
        import tensorflow as tf

        total = 0
        sums: list[tuple[Any, Any]] = [(0.0, 0.0) for _ in self._normalisations]
        for batch in np.array_split(images, -(-len(images) // _AT_ONCE)):
            self._forward(tf.constant(batch))
            total += len(batch)
            sums = [
                # Sums of values and of squares: the variance between batches counts as well.
                (first + len(batch) * mean, second + len(batch) * (variance + mean**2))
                for (first, second), (mean, variance) in zip(
                    sums, map(_moments, self._normalisations), strict=True
                )
            ]
        for layer, (first, second) in zip(self._normalisations, sums, strict=True):
            mean = first / total
            layer.moving_mean.assign(np.asarray(mean, dtype=np.float32))
            layer.moving_variance.assign(
                np.asarray(np.maximum(second / total - mean**2, 0.0), dtype=np.float32)
            )


def clean_sample(dataset: Dataset, count: int, seed: int) -> NDArray[np.uint8]:
    """The same images every time, drawn from all of a data set.

    Args:
        dataset: To draw from.
        count: How many at most.
        seed: 0 or above.

    Returns:
        (min(count, n), 28, 28) uint8, copied into memory.
    """
    chosen = np.random.default_rng((seed, 0x5E771E)).permutation(len(dataset))[:count]
    return np.ascontiguousarray(dataset.images[np.sort(chosen)])


def flat_layers(network: Any) -> Iterator[Any]:
    """Every layer of a network, those of nested networks included."""
    for layer in network.layers:
        if hasattr(layer, "layers"):
            yield from flat_layers(layer)
        else:
            yield layer


def _compile_forward(network: keras.Model, pixels: Any, normalisations: list[Any]) -> Any:
    """One pass that leaves each layer's moments of the batch where its running averages stand."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, 28, 28), tf.uint8)])  # type: ignore[untyped-decorator]
    def forward(images: tf.Tensor) -> None:
        unit = tf.cast(images[..., tf.newaxis], tf.float32) / 255.0
        network(pixels(unit), training=True)

    # Layers read these while they are traced, so that no copy of the network is needed.
    with _replaced(normalisations, ("momentum",)), _replaced(list(flat_layers(network)), _NOISE):
        return forward.get_concrete_function()


@contextmanager
def _replaced(layers: list[Any], attributes: tuple[str, ...]) -> Iterator[None]:
    """Set numeric attributes to 0 for a while."""
    held = [
        (layer, name, value)
        for layer in layers
        for name in attributes
        if isinstance(value := getattr(layer, name, None), int | float)
    ]
    try:
        for layer, name, _ in held:
            setattr(layer, name, 0.0)
        yield
    finally:
        for layer, name, value in held:
            setattr(layer, name, value)


def _moments(layer: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (
        np.asarray(layer.moving_mean.numpy(), dtype=np.float64),
        np.asarray(layer.moving_variance.numpy(), dtype=np.float64),
    )
