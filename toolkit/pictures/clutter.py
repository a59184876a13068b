"""What has the shade of ink but is no stroke: dust, the pale lines of ruled paper, a frame or a table."""

from __future__ import annotations

from dataclasses import dataclass

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
# touches its box in four places only.
FRAME_ALONG = 0.9
FRAME_DEPTH = 0.08
LEAST_FRAMED = 0.1

# A sheet, and not a frame, fills this share of its box.
SHEET = 0.75

# Frames are looked for among the largest regions only: the time must not grow with the noise.
MOST_FRAMES = 8


@dataclass(frozen=True, slots=True)
class Regions:
    """The connected regions of ink; the largest box comes first.

    Attributes:
        ink: (height, width), 0 paper to 1 ink.
        labels: (height, width), the number of each pixel's region; 0 outside.
        numbers: (n,) of the regions, the largest box first.
        areas: (n,) in pixels.
        boxes: (n, 4) left, top, right and bottom.
    """

    ink: NDArray[np.float32]
    labels: NDArray[np.int32]
    numbers: NDArray[np.int64]
    areas: NDArray[np.int32]
    boxes: NDArray[np.int32]

    def without_clutter(self) -> NDArray[np.float32]:
        """The ink without specks, pale lines and frames."""
        areas = np.where(self._frames(), 0, self.areas)
        kept = np.zeros(len(areas) + 1, np.float32)
        kept[self.numbers] = (areas > 0) & (areas >= SPECK * areas.max(initial=0))
        without: NDArray[np.float32] = self.ink * kept[self.labels]
        return without

    def has_frame(self) -> bool:
        """Whether a frame surrounds something."""
        return bool(self._frames().any())

    def is_sheet(self) -> bool:
        """Whether the ink is one filled rectangle, as a sheet of paper is on a table of another shade."""
        if not len(self.areas):
            return False
        box = self._box(int(self.areas.argmax()))
        return float(box.mean()) >= SHEET and _has_four_sides(box)

    def _frames(self) -> NDArray[np.bool_]:
        frames = np.zeros(len(self.areas), bool)
        left, top, right, bottom = self.boxes.T
        sizes = np.maximum(right - left, bottom - top)
        for index in range(min(MOST_FRAMES, len(frames))):
            inside = (left > left[index]) & (top > top[index])
            inside &= (right < right[index]) & (bottom < bottom[index])
            inside &= sizes >= LEAST_FRAMED * sizes[index]
            frames[index] = bool(inside.any()) and _has_four_sides(self._box(index))
        return frames

    def _box(self, index: int) -> NDArray[np.bool_]:
        """Where a region is within its box."""
        left, top, right, bottom = self.boxes[index]
        mask: NDArray[np.bool_] = self.labels[top:bottom, left:right] == self.numbers[index]
        return mask


def find_regions(ink: NDArray[np.float32]) -> Regions:
    """Find the connected regions of ink, corners included.

    Args:
        ink: (height, width), 0 paper to 1 ink.
    """
    reach = min(max(1, round(EDGE_SIGMAS * edge_sigma(ink))), MOST_REACH)
    near_ink = cv2.dilate((ink >= PALE).view(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    _, labels, found, _ = cv2.connectedComponentsWithStats((ink > SPECK_LEVEL).view(np.uint8) & near_ink)
    left, top, width, height, areas = found[1:].T
    numbers = np.argsort(-np.maximum(width, height), kind="stable")
    boxes = np.stack([left, top, left + width, top + height], axis=1)
    return Regions(ink, labels, numbers + 1, areas[numbers], boxes[numbers])


def _has_four_sides(box: NDArray[np.bool_]) -> bool:
    """Whether a box has ink along all of its sides."""
    down, across = (max(1, round(FRAME_DEPTH * side)) for side in box.shape)
    sides = (box[:down].any(0), box[-down:].any(0), box[:, :across].any(1), box[:, -across:].any(1))
    return min(float(side.mean()) for side in sides) >= FRAME_ALONG
