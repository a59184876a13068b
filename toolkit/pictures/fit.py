"""Ink fitted into 28x28 as in EMNIST's own images; docs/pictures.md has the measurements."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 28

# Lengths are pixels of the 28x28 image. The longer side of the box at this level depends on the
# blur, which is the deviation of the Gaussian on a stroke's edge.
BOX_LEVEL = 20 / 255
BOX_WITHOUT_BLUR = 30.6
BOX_LOSS_PER_BLUR = 15.0
LEAST_BOX = 21.0

# A picture that is sharper than the first gets this blur and box; a softer one keeps its blur.
SHARP = 0.40
TYPICAL_BLUR = 0.43
TYPICAL_BOX = 24.1

# Strokes that are thinner than the first number get this width.
THIN = 2.2
TYPICAL_STROKE = 3.0

# How many deviations outside its middle a blurred edge falls to the box's level.
BOX_LEVEL_SIGMAS = 1.417

# A pixel is never a point: some smoothing keeps a soft picture free of noise.
LEAST_SMOOTHING = 0.1

# The longer side of a character before it is drawn, in its own pixels.
WORKING_SIDE = 128

Ink = NDArray[np.float32]


def fit_ink(ink: Ink) -> NDArray[np.uint8]:
    """Crop ink (0 paper to 1 ink) to its box, and draw it in 28x28 pixels with its aspect kept, centred.

    What is thinner or sharper than EMNIST's strokes is thickened or blurred first.
    """
    ink = _cropped(ink)
    image = _drawn(ink)
    # In the small image there is no noise, which would count as edges in the large one.
    if stroke_width(image) < THIN:
        image = _drawn(_thickened(ink))
    return np.rint(image * 255).clip(0, 255).astype(np.uint8)


def edge_sigma(ink: Ink) -> float:
    """How blurred the strokes are: the deviation, in pixels, of the Gaussian that blurs their edges.

    Across a blurred edge m, the integral of m(1-m) is sigma / sqrt(pi), and the integral of
    \\|grad m\\| over the whole picture is the length of all edges.
    """
    return math.sqrt(math.pi) * (cv2.sumElems(ink)[0] - cv2.norm(ink, cv2.NORM_L2SQR)) / _edge_length(ink)


def stroke_width(ink: Ink) -> float:
    """How wide the strokes are, in pixels: twice their area by the length of their edges."""
    return 2 * cv2.sumElems(ink)[0] / _edge_length(ink)


def _edge_length(ink: Ink) -> float:
    """The integral of the gradient's length."""
    padded = cv2.copyMakeBorder(ink, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    falling = padded[1:, 1:] - padded[:-1, :-1]
    rising = padded[1:, :-1] - padded[:-1, 1:]
    # The two diagonals are at right angles, and sqrt(2) long.
    return max(cv2.sumElems(cv2.magnitude(falling, rising))[0] / math.sqrt(2), 1e-9)


def _drawn(ink: Ink) -> Ink:
    left, top, width, height = _box(ink)
    longer, sigma = max(width, height), edge_sigma(ink)
    scale = max(BOX_WITHOUT_BLUR / (longer + BOX_LOSS_PER_BLUR * sigma), LEAST_BOX / longer)
    missing = 0.0
    if sigma * scale < SHARP:
        # The box at a low level grows with the blur that is added.
        growth = 2 * BOX_LEVEL_SIGMAS
        scale = (TYPICAL_BOX - growth * TYPICAL_BLUR) / max(longer - growth * sigma, 1.0)
        missing = math.sqrt(max(TYPICAL_BLUR**2 - (sigma * scale) ** 2, 0.0))
    blurred = cv2.GaussianBlur(ink, (0, 0), max(missing, LEAST_SMOOTHING) / scale)
    # OpenCV counts from the middle of the first pixel.
    across, down = (
        SIDE / 2 - 0.5 - scale * (start + length / 2 - 0.5)
        for start, length in ((left, width), (top, height))
    )
    drawn = cv2.warpAffine(blurred, np.array([[scale, 0, across], [0, scale, down]]), (SIDE, SIDE))
    image: Ink = drawn / drawn.max()
    return image


def _box(ink: Ink) -> tuple[int, int, int, int]:
    """Where the ink rises above 20/255: left, top, width and height."""
    left, top, width, height = cv2.boundingRect((ink > BOX_LEVEL).view(np.uint8))
    return left, top, width, height


def _thickened(ink: Ink) -> Ink:
    """Strokes that are thinner than EMNIST's, as a pen of its writers would have drawn them."""
    radius = max(TYPICAL_STROKE / TYPICAL_BOX * max(_box(ink)[2:]) - stroke_width(ink), 0.0) / 2
    offsets = np.arange(-math.floor(radius), math.floor(radius) + 1)
    pen = offsets[:, None] ** 2 + offsets**2 <= radius * radius
    thickened: Ink = cv2.dilate(ink, pen.view(np.uint8))
    return thickened


def _cropped(ink: Ink) -> Ink:
    """The ink with a margin for its soft edge and its blur, enlarged or reduced to the working size."""
    left, top, width, height = _box(ink)
    longer = max(width, height)
    margin = max(3, round(0.1 * longer))
    padded = cv2.copyMakeBorder(ink, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=0)
    crop = padded[top : top + height + 2 * margin, left : left + width + 2 * margin]
    scale = WORKING_SIDE / longer
    size = tuple(max(1, round(side * scale)) for side in reversed(crop.shape))
    resized = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    clipped = resized.clip(0, 1)
    character: Ink = clipped / clipped.max()
    return character
