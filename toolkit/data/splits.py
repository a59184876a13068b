"""Which images of a train file are in validation; depends only on their pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UsageError

_PIXELS = 784
_WORDS = _PIXELS // 8
_IMAGES_AT_ONCE = 2_048
_MASK = (1 << 64) - 1

_THRESHOLD = np.uint64((1 << 64) // 10)


def _splitmix64(position: int) -> int:
    mixed = (position + 1) * 0x9E3779B97F4A7C15 & _MASK
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _MASK
    return mixed ^ mixed >> 31


# Odd factors, so that no bit of a word is lost in the multiplication.
_FACTORS = np.array([_splitmix64(position) | 1 for position in range(_WORDS)], np.uint64)


def pixel_hash(images: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """A 64-bit number for each image that depends only on its pixels.

    The 784 upright bytes, row by row, are 98 little-endian 64-bit words ``w``. With all
    arithmetic modulo 2**64 and the factors ``k[j] = splitmix64(j) | 1``, where ``splitmix64(j)``
    is the (j+1)-th output of SplitMix64 seeded with 0 [1]::

        h = sum over j of k[j] * (w[j] ^ w[j] >> 32)
        h = (h ^ h >> 33) * 0xff51afd7ed558ccd
        h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53
        h = h ^ h >> 33

    The last three lines are MurmurHash3's finalizer [2].

    [1] Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014.
    [2] Appleby: MurmurHash3, fmix64.

    Args:
        images: (n, 28, 28) uint8, upright, light ink.

    Returns:
        (n,) uint64.

    Raises:
        UsageError: The images are of another shape or type.
    """
    if images.dtype != np.uint8 or images.ndim < 2 or images[:1].size not in (0, _PIXELS):
        raise UsageError(f"expected images (n, 28, 28) of uint8, received {images.shape} of {images.dtype}")
    hashes = np.empty(len(images), np.uint64)
    for begin in range(0, len(images), _IMAGES_AT_ONCE):
        some = np.ascontiguousarray(images[begin : begin + _IMAGES_AT_ONCE]).reshape(-1, _PIXELS)
        words = some.view("<u8").astype(np.uint64)
        words ^= words >> np.uint64(32)
        words *= _FACTORS
        hashes[begin : begin + len(some)] = words.sum(axis=1, dtype=np.uint64)
    hashes ^= hashes >> np.uint64(33)
    hashes *= np.uint64(0xFF51AFD7ED558CCD)
    hashes ^= hashes >> np.uint64(33)
    hashes *= np.uint64(0xC4CEB9FE1A85EC53)
    hashes ^= hashes >> np.uint64(33)
    return hashes


def validation_mask(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which images are in validation, not fit: about one in ten, by :func:`pixel_hash`; (n,) bool.

    Equal images are on the same side in every run, in every order and in every file.
    """
    return pixel_hash(images) < _THRESHOLD
