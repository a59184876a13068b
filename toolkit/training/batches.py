"""Shuffled batches of an epoch, and a fixed sample."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from toolkit.data import Dataset

_SAMPLE = 0x5E771E  # keeps the sample apart from the epochs' permutations


def epoch_batches(
    dataset: Dataset, batch_size: int, *, seed: int, epoch: int
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int32]]]:
    """Every image once, in an order that depends only on seed and epoch; the last batch may be smaller.

    Yields images (b, 28, 28) uint8 and labels (b,) int32.
    """
    order = np.random.default_rng((seed, epoch)).permutation(len(dataset))
    for start in range(0, len(order), batch_size):
        # Ascending order within a batch reads a memory-mapped file forwards; the batch is the same set.
        chosen = np.sort(order[start : start + batch_size])
        yield np.ascontiguousarray(dataset.images[chosen]), np.asarray(dataset.labels[chosen], dtype=np.int32)


def sample_images(dataset: Dataset, count: int, seed: int) -> NDArray[np.uint8]:
    """At most ``count`` images, (n, 28, 28) uint8, the same for the same seed."""
    chosen = np.random.default_rng((seed, _SAMPLE)).permutation(len(dataset))[:count]
    return np.ascontiguousarray(dataset.images[np.sort(chosen)])
