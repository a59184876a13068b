"""The conventions in which networks for characters are usually trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from toolkit.vocabulary import Convention, Ink, Orientation

MNIST_SCALE = (0.1307, 0.3081)
_SYMMETRIC_SCALE = (0.5, 0.5)  # -1 to 1
# Means and deviations in use for EMNIST and its variants.
_EMNIST_SCALES = (
    (0.1307, 0.3015),
    (0.1722, 0.3309),
    (0.1736, 0.3248),
    (0.1736, 0.3317),
    (0.1751, 0.3332),
)
_RARE_SCALES = ((0.2860, 0.3530), (0.5, 1.0), (0.1307, 1.0))
_ORIENTATIONS: tuple[Orientation, ...] = ("upright", "transposed")
_INKS: tuple[Ink, ...] = ("light", "dark")


def usual(scales: Sequence[tuple[float, float]] = (_SYMMETRIC_SCALE, MNIST_SCALE)) -> Iterator[Convention]:
    """Every orientation and ink with x/255, raw pixels, and the means and deviations given."""
    for orientation in _ORIENTATIONS:
        for ink in _INKS:
            yield Convention(orientation, "unit", ink)
            yield Convention(orientation, "raw", ink)
            for mean, deviation in scales:
                yield Convention(orientation, "standard", ink, mean, deviation)


def standardised(near: Convention, images: NDArray[np.uint8]) -> Iterator[Convention]:
    """The same orientation and ink with other means and deviations, the images' own included.

    Args:
        near: Gives orientation and ink.
        images: (n, 28, 28) uint8, upright, light ink.
    """
    pixels = images if near.ink == "light" else 255 - images
    own = round(float(pixels.mean() / 255), 4), round(float(pixels.std() / 255), 4)
    for mean, deviation in (*_EMNIST_SCALES, own, *_RARE_SCALES):
        if deviation > 0:
            yield Convention(near.orientation, "standard", near.ink, mean, deviation)


def rarity(convention: Convention) -> int:
    """0 for x/255, 1 for raw pixels and the usual standardisations, 2 for others."""
    if convention.scale == "standard":
        return 2 if (convention.mean, convention.deviation) in _RARE_SCALES else 1
    return int(convention.scale == "raw")


def kind_of(convention: Convention) -> tuple[Orientation, str, Ink]:
    """Equal for conventions that differ only in mean and deviation, which networks hardly notice."""
    return convention.orientation, convention.scale, convention.ink
