"""What has the shade of ink but is no stroke: dust, the pale lines of ruled paper, a frame or a table."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.pictures.fit import edge_sigma

# Spots with less than this share of the area of the largest connected stroke are dirt; the dot of
# an i has about 0.1.
SPECK = 0.02
SPECK_LEVEL = 0.06

# Ink as pale as this is the soft edge of darker ink, or else a line that was printed on the paper.
# A blurred edge falls from there to the level of specks within 1.2 deviations.
PALE = 0.35
EDGE_SIGMAS = 1.5
MOST_REACH = 30

# A frame has ink along this share of each side of its box, within this share of the box from the
# side, and around something that has at least this share of its size. No character has: an O
# touches its box in four places only. A sheet fills more of its box than a frame.
FRAME_ALONG = 0.9
FRAME_DEPTH = 0.08
LEAST_FRAMED = 0.1
SHEET = 0.75

# Only the largest regions can be frames: the time must not grow with the noise.
MOST_FRAMES = 8


def without_clutter(ink: NDArray[np.float32]) -> tuple[NDArray[np.float32], Literal["sheet", "framed", ""]]:
    """Remove specks, pale lines and frames from ink.

    Returns:
        The remaining ink, and whether it is one filled rectangle, as a sheet of paper is on a table
        of another shade, or had a frame around it.
    """
    labels, stats = connected_regions(ink)
    left, top, width, height, area = stats.T
    sizes = np.maximum(width, height)
    frames = []
    for number in np.argsort(-sizes, kind="stable")[:MOST_FRAMES]:
        inside = (left > left[number]) & (left + width < left[number] + width[number])
        inside &= (top > top[number]) & (top + height < top[number] + height[number])
        inside &= sizes >= LEAST_FRAMED * sizes[number]
        if inside.any() and _has_four_sides(_box(labels, stats, number)):
            frames.append(number)
    strokes = area.copy()
    strokes[frames] = 0
    kept = np.append(False, (strokes > 0) & (strokes >= SPECK * strokes.max(initial=0)))
    largest = _box(labels, stats, area.argmax()) if len(area) else np.zeros((1, 1), bool)
    is_sheet = largest.mean() >= SHEET and _has_four_sides(largest)
    return ink * kept[labels], "sheet" if is_sheet else "framed" if frames else ""


def connected_regions(ink: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Number the connected regions of ink, corners included.

    Returns:
        (height, width), 0 outside and 1 to n in the regions; (n, 5) left, top, width, height and
        area of each.
    """
    reach = min(max(1, round(EDGE_SIGMAS * edge_sigma(ink))), MOST_REACH)
    near_ink = cv2.dilate((ink >= PALE).view(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats((ink > SPECK_LEVEL).view(np.uint8) & near_ink)
    return labels, stats[1:]


def _box(labels: NDArray[np.int32], stats: NDArray[np.int32], number: np.intp) -> NDArray[np.bool_]:
    """Where a region is within its box."""
    left, top, width, height, _ = stats[number]
    mask: NDArray[np.bool_] = labels[top : top + height, left : left + width] == number + 1
    return mask


def _has_four_sides(box: NDArray[np.bool_]) -> bool:
    """Whether a box has ink along all of its sides."""
    down, across = (max(1, round(FRAME_DEPTH * side)) for side in box.shape)
    sides = (box[:down].any(0), box[-down:].any(0), box[:, :across].any(1), box[:, -across:].any(1))
    return min(float(side.mean()) for side in sides) >= FRAME_ALONG
