"""What else has ink's shade and is no stroke: dust, the pale lines of ruled paper, a frame or a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.pictures.fit import edge_sigma

Page = NDArray[np.float32]

# Spots with less than this share of the ink of the largest connected stroke are dirt; the dot of
# an i has about 0.1.
SPECK = 0.02
SPECK_LEVEL = 0.06

# Ink as pale as this belongs to the soft edge of darker ink, or else to lines that were printed
# on the paper. A blurred edge falls from there to the level of specks within 1.2 deviations.
PALE = 0.35
EDGE_SIGMAS = 1.5

# A frame has ink along this share of each side of its box, within this share of the box from the
# side, and around something that has at least this share of its size. No character has: an O
# touches its box in four places only.
FRAME_ALONG = 0.9
FRAME_DEPTH = 0.08
LEAST_FRAMED = 0.1

# A sheet, and not a frame, fills this share of its box.
SHEET = 0.75

# The distance between spots needs few samples.
REGION_SIDE = 256


@dataclass(frozen=True, slots=True)
class _Region:
    """A connected piece of ink: its number among the labels, its ink, and its box."""

    number: int
    ink: float
    top: int
    bottom: int
    left: int
    right: int

    @property
    def size(self) -> int:
        """The longer side of its box."""
        return max(self.bottom - self.top, self.right - self.left)

    def in_box(self, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Where it is within its box."""
        mask: NDArray[np.bool_] = labels[self.top : self.bottom, self.left : self.right] == self.number
        return mask

    def holds(self, other: _Region) -> bool:
        """Whether the other's box lies inside this one's."""
        return (
            self.top < other.top
            and other.bottom < self.bottom
            and self.left < other.left
            and other.right < self.right
        )


def without_clutter(ink: Page) -> tuple[Page, bool]:
    """Leave out what is no stroke of the character.

    Args:
        ink: (height, width), 0 paper to 1 ink.

    Returns:
        The ink that is left, and whether a frame around it was left out.
    """
    step, labels, regions = _regions(ink)
    frames = [region for region in regions if _is_frame(region, regions, labels)]
    strokes = [region for region in regions if region not in frames]
    most = max((region.ink for region in strokes), default=0.0)
    kept = np.zeros(int(labels.max()) + 1, bool)
    kept[[region.number for region in strokes if region.ink >= SPECK * most]] = True
    mask = kept[labels].repeat(step, axis=0).repeat(step, axis=1)[: ink.shape[0], : ink.shape[1]]
    return np.where(mask, ink, np.float32(0)), bool(frames)


def is_sheet(ink: Page) -> bool:
    """Whether the ink is one filled rectangle, as a sheet of paper is on a table of another shade."""
    _, labels, regions = _regions(ink)
    if not regions:
        return False
    largest = max(regions, key=lambda region: region.ink)
    box = largest.in_box(labels)
    return float(box.mean()) >= SHEET and _has_four_sides(box)


def _regions(ink: Page) -> tuple[int, NDArray[np.int64], list[_Region]]:
    """The connected pieces of ink, on a grid that is coarser by the step that comes first."""
    step = max(1, -(-max(ink.shape) // REGION_SIDE))
    height, width = -(-ink.shape[0] // step), -(-ink.shape[1] // step)
    padded = np.zeros((height * step, width * step), np.float32)
    padded[: ink.shape[0], : ink.shape[1]] = ink
    blocks = padded.reshape(height, step, width, step)
    level = blocks.max((1, 3))
    reach = max(1, round(EDGE_SIGMAS * edge_sigma(ink) / step))
    labels = connected_regions((level > SPECK_LEVEL) & _widened(level >= PALE, reach))
    amounts = np.bincount(labels.ravel(), weights=blocks.sum((1, 3), dtype=np.float64).ravel())
    least = SPECK * SPECK * amounts[1:].max(initial=0)
    regions = []
    for number in np.flatnonzero(amounts[1:] > least) + 1:
        rows, columns = np.nonzero(labels == number)
        box = (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1)
        regions.append(_Region(int(number), float(amounts[number]), *map(int, box)))
    return step, labels, regions


def _widened(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """Everything within so many rows and columns of what is true."""
    for _ in range(2):
        before = np.cumsum(np.pad(mask, ((by + 1, by), (0, 0))), axis=0)
        mask = (before[2 * by + 1 :] > before[: -2 * by - 1]).T
    return mask


def _is_frame(region: _Region, regions: list[_Region], labels: NDArray[np.int64]) -> bool:
    inside = [other for other in regions if other.size >= LEAST_FRAMED * region.size and region.holds(other)]
    return bool(inside) and _has_four_sides(region.in_box(labels))


def _has_four_sides(box: NDArray[np.bool_]) -> bool:
    """Whether a box has ink along all of its sides."""
    down, across = (max(1, round(FRAME_DEPTH * side)) for side in box.shape)
    sides = (box[:down].any(0), box[-down:].any(0), box[:, :across].any(1), box[:, -across:].any(1))
    return min(float(side.mean()) for side in sides) >= FRAME_ALONG


def connected_regions(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number the regions of a mask that hang together, corners included.

    Returns:
        The mask's shape; 0 outside, equal positive numbers inside one region.
    """
    height, width = mask.shape
    labels = np.zeros((height + 2, width + 2), np.int64)
    inner = labels[1:-1, 1:-1]
    inner[mask] = np.flatnonzero(np.pad(mask, 1).ravel())
    while True:
        before = inner.copy()
        rows = np.maximum(np.maximum(labels[:-2], labels[1:-1]), labels[2:])
        around = np.maximum(np.maximum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
        # A number names a cell of the same region: taking over what that cell bears by now
        # doubles the reach with every round.
        inner[mask] = around[mask]
        inner[mask] = labels.ravel()[inner[mask]]
        if np.array_equal(before, inner):
            return before
