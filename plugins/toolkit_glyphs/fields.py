"""Characters as distance fields: how far each point lies inside or outside of the ink.

A field can be bent, and its strokes thickened, thinned and softened, by arithmetic on it alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from toolkit_glyphs.faces import BODY, CHARACTERS, GRID, draw_characters

# Distances are exact up to this many pixels of the grid; no stroke grows or fades further. With 12,
# the sums of squares would no longer fit into a byte.
REACH = 11

# In how many directions the farthest ink is kept, to know the box of a bent character.
DIRECTIONS = 48

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class GlyphFields:
    """Every character in every face. Unit of length: half a character's longer side.

    Attributes:
        distance: (n, 64, 64); above 0 inside the ink.
        stroke: (n,) mean width of the strokes.
        outline: (n, 48, 2) the farthest points of the ink, x and y, 0 the middle.
        first: (62,) where each class begins.
        count: (62,) how many faces have it.
    """

    distance: Array
    stroke: Array
    outline: Array
    first: NDArray[np.int64]
    count: NDArray[np.int64]


@lru_cache(maxsize=1)
def glyph_fields() -> GlyphFields:
    """Draw all characters; about half a second, once in a process."""
    drawn = sorted(draw_characters(), key=lambda pair: pair[0])
    labels = np.array([label for label, _ in drawn])
    coverage = np.stack([image for _, image in drawn])
    unit = np.float32(BODY / 2)
    count = np.bincount(labels, minlength=len(CHARACTERS))
    return GlyphFields(
        signed_distance(coverage) / unit,
        _stroke_width(coverage) / unit,
        _outline(coverage) / unit,
        np.cumsum(count) - count,
        count,
    )


def signed_distance(coverage: Array) -> Array:
    """Distance to the edge of the ink in pixels, above 0 inside, at most 11 either way.

    Args:
        coverage: (n, height, width), 0 to 1: the share of each pixel that is ink.
    """
    inside = coverage >= 0.5
    distance = np.where(inside, _distance_to(~inside), -_distance_to(inside))
    # From the middle of a pixel to the edge it is half a pixel less than to the next pixel; where
    # the edge runs through the pixel, its coverage tells how far.
    distance -= np.copysign(np.float32(0.5), distance)
    at_edge = (coverage > 0) & (coverage < 1) & (np.abs(distance) < 1)
    signed: Array = np.where(at_edge, coverage - np.float32(0.5), distance).astype(np.float32)
    return signed


def _distance_to(mask: NDArray[np.bool_]) -> Array:
    """Euclidean distance between pixels to the nearest one of the mask, at most the reach."""
    # The largest sum, twice the reach squared, fits into a byte, and bytes are quick.
    far = np.uint8(REACH)
    across = np.where(mask, np.uint8(0), far)
    for _ in range(REACH):
        across[..., 1:] = np.minimum(across[..., 1:], across[..., :-1] + np.uint8(1))
        across[..., :-1] = np.minimum(across[..., :-1], across[..., 1:] + np.uint8(1))
    squared = across * across
    nearest = squared.copy()
    for step in range(1, REACH + 1):
        rise = np.uint8(step * step)
        nearest[:, step:] = np.minimum(nearest[:, step:], squared[:, :-step] + rise)
        nearest[:, :-step] = np.minimum(nearest[:, :-step], squared[:, step:] + rise)
    reached: Array = np.minimum(np.sqrt(nearest.astype(np.float32)), np.float32(REACH))
    return reached


def _stroke_width(coverage: Array) -> Array:
    """Twice the area over the length of the edge."""
    down = np.diff(coverage, axis=1)[:, :, :-1]
    across = np.diff(coverage, axis=2)[:, :-1]
    length = np.sqrt(down * down + across * across).sum((1, 2))
    # Machines may add in another order: rounding makes them agree.
    width: Array = (np.rint(1024 * 2 * coverage.sum((1, 2)) / length) / 1024).astype(np.float32)
    return width


def _outline(coverage: Array) -> Array:
    rows, columns = np.mgrid[:GRID, :GRID]
    x = (columns + 0.5 - GRID / 2).ravel().astype(np.float32)
    y = (rows + 0.5 - GRID / 2).ravel().astype(np.float32)
    ink = (coverage >= 0.5).reshape(len(coverage), -1)
    # Around a square rather than a circle: whole numbers, and length does not matter to the farthest.
    side = np.linspace(-1, 1, DIRECTIONS // 4, endpoint=False)
    one = np.ones_like(side)
    across = np.concatenate([side, one, -side, -one]).astype(np.float32)
    down = np.concatenate([-one, side, one, -side]).astype(np.float32)
    farthest = [
        np.where(ink, to_right * x + to_bottom * y, -np.inf).argmax(1)
        for to_right, to_bottom in zip(across, down, strict=True)
    ]
    index = np.stack(farthest, axis=1)
    return np.stack([x[index], y[index]], axis=2)
