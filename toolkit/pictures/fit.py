"""Ink fitted into 28x28 as EMNIST's own images are.

EMNIST's images were made from NIST's scans by a blur, a crop, a fit with the aspect kept, and
centring by the box. Measured on 12,000 images of the ByClass test file: the longer side at a
level of 20/255 is 24 pixels (median; 23.7 mean); the box's centre is (14, 14) within half a
pixel, whereas the centre of mass strays by up to three; the brightest pixel is 255. As the crop
holds the blur and a margin, both in pixels of the scan, a small character is blurred more and
drawn smaller: longer side = 30.6 - 15 x blur, in pixels of the image, within half a pixel.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Page = NDArray[np.float32]

SIDE = 28

# The longer side of the box at this level, and how it depends on the blur.
BOX_LEVEL = 20 / 255
BOX_WITHOUT_BLUR = 30.6
BOX_LOSS_PER_BLUR = 15.0
LEAST_BOX = 21.0

# Blur is the deviation of the Gaussian on a stroke's edge, in pixels of the image. A picture that
# is sharper than the first, as one EMNIST image in six is, gets the typical blur and box; a
# softer one keeps the blur that it has.
SHARP = 0.40
TYPICAL_BLUR = 0.46
TYPICAL_BOX = 23.7

# Strokes are twice their area by the length of their edges wide, in pixels of the image: 3.0 in
# the median, and less than the first number in one image of thirteen. Thinner ones, as a hard
# pencil or a drawing program leaves them, get the typical width.
THIN = 2.2
TYPICAL_STROKE = 3.0

# How many deviations outside its middle a blurred edge falls to the box's level.
BOX_LEVEL_SIGMAS = 1.417

# A pixel is never a point: some smoothing keeps a picture that is soft already free of noise.
LEAST_SMOOTHING = 0.15

# A character is brought to at least the first size, so that a kernel meets enough samples, and
# to less than twice the second, which is as much as can be seen in 28 pixels.
WORKING_SIDES = (96, 192)


def fit_ink(ink: Page) -> NDArray[np.uint8]:
    """Crop ink to its box, fit it with its aspect kept and centred.

    What is thinner or sharper than EMNIST's strokes is thickened or blurred first.

    Args:
        ink: (height, width), 0 paper to 1 ink; not all paper.

    Returns:
        (28, 28) uint8, light ink, its brightest pixel 255.
    """
    ink = _cropped(ink)
    image = _fitted(ink)
    # In the small image noise is gone, which would count as edges in the large one.
    if stroke_width(image) < THIN:
        image = _fitted(_thickened(ink))
    return np.rint(image * 255).clip(0, 255).astype(np.uint8)


def ink_box(ink: Page) -> tuple[float, float, float, float]:
    """Where the ink rises above 20/255: top, bottom, left, right, in fractions of pixels from the corner."""
    top, bottom = _extent(ink.max(1))
    left, right = _extent(ink.max(0))
    return top, bottom, left, right


def edge_sigma(ink: Page) -> float:
    """How blurred the strokes are: the deviation, in pixels, of the Gaussian that blurs their edges.

    Across a blurred edge m, the integral of m(1-m) is sigma / sqrt(pi), and the integral of
    \\|grad m\\| over the whole picture is the length of all edges.
    """
    return math.sqrt(math.pi) * float((ink * (1 - ink)).sum(dtype=np.float64)) / _edge_length(ink)


def stroke_width(ink: Page) -> float:
    """How wide the strokes are, in pixels: twice their area by the length of their edges."""
    return 2 * float(ink.sum(dtype=np.float64)) / _edge_length(ink)


def _edge_length(ink: Page) -> float:
    """The integral of the gradient's length."""
    padded = np.pad(ink.astype(np.float64), 1)
    down = padded[1:, 1:] + padded[1:, :-1] - padded[:-1, 1:] - padded[:-1, :-1]
    across = padded[1:, 1:] - padded[1:, :-1] + padded[:-1, 1:] - padded[:-1, :-1]
    return max(float(np.hypot(down, across).sum()) / 2, 1e-9)


def _fitted(ink: Page) -> Page:
    top, bottom, left, right = ink_box(ink)
    longer = max(bottom - top, right - left)
    sigma = edge_sigma(ink)
    scale = max(BOX_WITHOUT_BLUR / (longer + BOX_LOSS_PER_BLUR * sigma), LEAST_BOX / longer)
    missing = 0.0
    if sigma * scale < SHARP:
        # The box at a low level grows with the blur that is still to come.
        growth = 2 * BOX_LEVEL_SIGMAS
        scale = (TYPICAL_BOX - growth * TYPICAL_BLUR) / max(longer - growth * sigma, 1.0)
        missing = math.sqrt(max(TYPICAL_BLUR**2 - (sigma * scale) ** 2, 0.0))
    missing = max(missing, LEAST_SMOOTHING)
    rows = _sampling(ink.shape[0], (top + bottom) / 2, scale, missing)
    columns = _sampling(ink.shape[1], (left + right) / 2, scale, missing)
    fitted = rows @ ink @ columns.T
    image: Page = (fitted / fitted.max()).astype(np.float32)
    return image


def _thickened(ink: Page) -> Page:
    """Strokes that are thinner than EMNIST's, as a pen of its writers would have drawn them."""
    top, bottom, left, right = ink_box(ink)
    scale = TYPICAL_BOX / max(bottom - top, right - left)
    radius = max(TYPICAL_STROKE / scale - stroke_width(ink), 0.0) / 2
    reach = math.floor(radius)
    padded = np.pad(ink, reach)
    thicker = ink
    for down in range(-reach, reach + 1):
        half = math.floor(math.sqrt(radius * radius - down * down))
        for across in range(-half, half + 1):
            rows, columns = reach + down, reach + across
            shifted = padded[rows : rows + ink.shape[0], columns : columns + ink.shape[1]]
            thicker = np.maximum(thicker, shifted)
    return thicker


def _extent(profile: Page) -> tuple[float, float]:
    """First and last crossing of the box's level, linear between the middles of pixels."""
    padded = np.concatenate(([0.0], profile, [0.0]))
    inked = np.flatnonzero(padded > BOX_LEVEL)
    first, last = int(inked[0]), int(inked[-1])
    rise = (BOX_LEVEL - padded[first - 1]) / (padded[first] - padded[first - 1])
    fall = (BOX_LEVEL - padded[last + 1]) / (padded[last] - padded[last + 1])
    # The middle of pixel i of the profile lies at i + 0.5, and the padding moved it by one.
    return float(first - 1 + rise - 0.5), float(last + 1 - fall - 0.5)


def _cropped(ink: Page) -> Page:
    """The ink with a margin that no kernel leaves, drawn larger where it is small."""
    rows, columns = np.flatnonzero(ink.max(1) > BOX_LEVEL), np.flatnonzero(ink.max(0) > BOX_LEVEL)
    crop = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # What fades out around the box belongs to the blurred edge.
    margin = max(3, round(0.1 * max(crop.shape)))
    padded = np.pad(ink, margin)
    crop = padded[rows[0] : rows[-1] + 1 + 2 * margin, columns[0] : columns[-1] + 1 + 2 * margin]
    times = math.ceil(WORKING_SIDES[0] / max(crop.shape))
    if times > 1:
        size = (crop.shape[1] * times, crop.shape[0] * times)
        return np.asarray(Image.fromarray(crop).resize(size, Image.Resampling.BICUBIC)).clip(0, 1)
    fewer = max(crop.shape) // WORKING_SIDES[1]
    return crop if fewer < 2 else np.asarray(Image.fromarray(crop).reduce(fewer))


def _sampling(length: int, centre: float, scale: float, sigma: float) -> NDArray[np.float64]:
    """The matrix (28, length) that draws one axis: Gaussians around where each pixel's middle falls."""
    middles = centre + (np.arange(SIDE) + 0.5 - SIDE / 2) / scale
    distance = (np.arange(length) + 0.5)[None, :] - middles[:, None]
    spread = max(sigma / scale, 0.4)
    return np.exp(-0.5 * (distance / spread) ** 2) / (spread * math.sqrt(2 * math.pi))
