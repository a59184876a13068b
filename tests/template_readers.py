"""Images and linear networks that read them in any convention, without training."""

from __future__ import annotations

import string
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from toolkit.data import Dataset
from toolkit.vocabulary import Convention

GROUND, INK, NOISE = 100.0, 18.0, 60.0  # levels of 255: most images are read, and none easily

CHARACTERS = (*string.digits, *string.ascii_uppercase, *string.ascii_lowercase)


def templates(characters: Sequence[str]) -> NDArray[np.float64]:
    """(characters, 28, 28) A pattern of seven by seven squares for each character, 0 to 1, mostly dark."""
    made = []
    for character in characters:
        chance = np.random.default_rng(ord(character[0]))
        made.append(np.kron(chance.random((7, 7)) < 0.3, np.ones((4, 4))))
    return np.asarray(made, np.float64)


def template_images(characters: Sequence[str] = CHARACTERS, per_class: int = 20, seed: int = 0) -> Dataset:
    """Noisy patterns, light on a dark ground, of each character in turn."""
    chance = np.random.default_rng(seed)
    labels = np.arange(per_class * len(characters), dtype=np.int32) % len(characters)
    images = INK * templates(characters)[labels] + chance.normal(GROUND, NOISE, (len(labels), 28, 28))
    return Dataset("patterns", tuple(characters), np.clip(images, 0, 255).astype(np.uint8), labels)


def template_reader(
    classes: Sequence[str], convention: Convention | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Kernel (784, classes) and bias of the network with the true probabilities, as logits.

    Args:
        classes: Character by output; an output named "" is never the answer.
        convention: How it expects its pixels.
    """
    wanted = convention or Convention()
    patterns = templates([one or "?" for one in classes])
    # The logarithm of a pattern's probability is a linear function of an image in [0, 1].
    kernel = 255 * INK / NOISE**2 * patterns
    bias = -(GROUND * INK + INK**2 / 2) / NOISE**2 * patterns.sum(axis=(1, 2))
    bias = np.where([bool(one) for one in classes], bias, -1000.0)
    if wanted.orientation == "transposed":
        kernel = kernel.transpose(0, 2, 1)
    if wanted.ink == "dark":
        kernel, bias = -kernel, bias + kernel.sum(axis=(1, 2))
    if wanted.scale == "raw":
        kernel = kernel / 255
    if wanted.scale == "standard":
        bias = bias + wanted.mean * kernel.sum(axis=(1, 2))
        kernel = kernel * wanted.deviation
    return kernel.reshape(len(classes), 784).T, bias
