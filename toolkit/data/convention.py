"""Pixels as a model expects them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UnsupportedError, UsageError
from toolkit.vocabulary import CHARACTER_SHAPES, Convention


def apply_convention(
    images: NDArray[np.uint8], convention: Convention, input_shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Turn images as the toolkit keeps them into a model's input.

    Args:
        images: (n, 28, 28) uint8, upright, light ink on a dark ground.
        convention: Orientation, ink and scale that the model expects.
        input_shape: Of one input, without the batch: (28, 28, 1), (1, 28, 28), (28, 28) or (784,).

    Returns:
        (n, \\*input_shape) float32, contiguous, not shared with ``images``.

    Raises:
        UnsupportedError: Another input shape.
        UsageError: Images of another shape or type, or a deviation that is not above 0.
    """
    if tuple(input_shape) not in CHARACTER_SHAPES:
        known = ", ".join(map(str, CHARACTER_SHAPES))
        raise UnsupportedError(
            f"expected a model with an input of shape {known}, received {tuple(input_shape)}"
        )
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
        raise UsageError(f"expected images (n, 28, 28) of uint8, received {images.shape} of {images.dtype}")
    if convention.orientation == "transposed":
        images = images.transpose(0, 2, 1)
    pixels = np.empty(images.shape, np.float32)
    pixels[:] = images
    if convention.ink == "dark":
        np.subtract(np.float32(255), pixels, out=pixels)
    if convention.scale != "raw":
        pixels /= np.float32(255)
    if convention.scale == "standard":
        if not (convention.deviation > 0 and math.isfinite(convention.deviation + convention.mean)):
            raise UsageError(
                f"expected a finite mean and a deviation above 0,"
                f" received {convention.mean} and {convention.deviation}"
            )
        pixels -= np.float32(convention.mean)
        pixels /= np.float32(convention.deviation)
    return pixels.reshape(len(images), *input_shape)
