"""Characters as distance fields: the distance of each point to the edge of the ink.

A field can be bent, and its strokes thickened, thinned and blurred, by arithmetic on it alone.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from toolkit.records import dataclass
from toolkit_glyphs.faces import BODY, CHARACTERS, GRID, draw_characters

REACH = 11  # pixels of the grid: the largest distance

DIRECTIONS = 48  # in which the farthest ink is recorded, to find the box of a bent character

Array = NDArray[np.float32]


@dataclass(frozen=True)
class GlyphFields:
    """Every character in every face. Unit of length: half a character's longer side."""

    distance: Array  # (n, 64, 64); above 0 inside the ink
    stroke: Array  # (n,) mean width of the strokes
    outline: Array  # (n, 48, 2) the farthest points of the ink, x and y, 0 the middle
    first: NDArray[np.int64]  # (62,) where each class begins
    count: NDArray[np.int64]  # (62,) how many faces have it


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

    ``coverage``, (n, height, width) from 0 to 1, is the share of each pixel that is ink.
    """
    inside = coverage >= 0.5
    distance = np.where(inside, _distance_to(~inside), -_distance_to(inside))
    # The edge is half a pixel nearer than the next pixel; if it crosses the pixel, the coverage
    # gives the distance.
    distance -= np.copysign(np.float32(0.5), distance)
    at_edge = (coverage > 0) & (coverage < 1) & (np.abs(distance) < 1)
    return np.where(at_edge, coverage - np.float32(0.5), distance).astype(np.float32)


def _distance_to(mask: NDArray[np.bool_]) -> Array:
    """Euclidean distance between pixels to the nearest one of the mask, at most the reach."""
    import cv2

    precise = [
        cv2.distanceTransform((~image).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for image in mask
    ]
    # Squares are whole numbers; rounding them makes all machines agree.
    distance: Array = np.minimum(np.sqrt(np.rint(np.square(precise))), np.float32(REACH))
    return distance


def _stroke_width(coverage: Array) -> Array:
    """Twice the area over the length of the edge."""
    down = np.diff(coverage, axis=1)[:, :, :-1]
    across = np.diff(coverage, axis=2)[:, :-1]
    length = np.sqrt(down * down + across * across).sum((1, 2))
    # Sums depend on the order of addition; rounding makes all machines agree.
    width: Array = (np.rint(1024 * 2 * coverage.sum((1, 2)) / length) / 1024).astype(np.float32)
    return width


def _outline(coverage: Array) -> Array:
    rows, columns = np.mgrid[:GRID, :GRID]
    x = (columns + 0.5 - GRID / 2).ravel().astype(np.float32)
    y = (rows + 0.5 - GRID / 2).ravel().astype(np.float32)
    ink = (coverage >= 0.5).reshape(len(coverage), -1)
    # Directions around a square: the length of a direction does not matter.
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
