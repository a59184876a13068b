"""A seed of its own for every layer."""

from __future__ import annotations

import zlib


def layer_seed(seed: int, layer: str) -> int:
    """The seed of one layer: it depends on the layer's name, not on its place.

    Args:
        seed: Of the network, 0 or above.
        layer: The layer's name.

    Returns:
        0 to 2**31 - 1.
    """
    return zlib.crc32(f"{seed}\0{layer}".encode()) & 0x7FFFFFFF
