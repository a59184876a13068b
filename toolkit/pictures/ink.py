"""The ink on a page: its shade found, and paper, shading and clutter removed."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UnreadableInputError
from toolkit.pictures.clutter import find_regions
from toolkit.pictures.page import Page, border
from toolkit.vocabulary import Ink

InkShare = NDArray[np.float32]

# Ink must differ from the paper by this share of the range between paper and black (or white),
# and by this many deviations of the paper. Noise cut in two differs by fewer than 3.5.
LEAST_CONTRAST = 0.04
LEAST_SEPARATION = 4.0

# A page of which more than this is ink has its paper taken for ink.
MOST_INK = 0.5

# The border decides the shade of the ink if this share of it is on one side of the threshold.
CLEAR_BORDER = 0.8

# A smooth surface needs few samples.
SURFACE_SIDE = 64
SURFACE_ROUNDS = 8


def find_ink(page: Page, *, ink: Ink | None, name: str) -> InkShare:
    """Separate the ink from the paper.

    The paper is a smooth surface (a quadratic, fitted to the pixels that are not ink), so light
    from one side has no effect. Otsu's threshold separates ink from paper; ink and paper levels
    become 1 and 0, and all greys between them are kept, because they show where a stroke ends.

    Args:
        page: (height, width) uint8, 0 black to 255 white.
        ink: Light or dark; None to decide it from the border.
        name: Of the picture, for errors.

    Returns:
        (height, width) float32, 0 paper to 1 ink.

    Raises:
        UnreadableInputError: No ink was found.

    Reference:
        Otsu, A threshold selection method from gray-level histograms, 1979.
    """
    likely = ink or decide_ink(page)
    other: Ink = "light" if likely == "dark" else "dark"
    found = _ink_of(page, likely)
    if found is None and ink is None:
        # Under light from the middle the border is dark although the ink is, too.
        found = _ink_of(page, other)
        if found is not None and found.mean() > MOST_INK:
            found = None
    elif found is not None and ink is None and find_regions(found).is_sheet():
        strokes = _ink_of(page, other)
        if strokes is not None and (regions := find_regions(strokes)).has_frame():
            return regions.without_clutter()
    if found is None:
        raise UnreadableInputError(
            f"no ink was found in {name}",
            hint="give a picture of one dark character on light paper, or of a light one on dark",
        )
    return find_regions(found).without_clutter()


def decide_ink(page: Page) -> Ink:
    """Whether the ink is lighter or darker than the paper.

    The border is paper. If it is half light and half dark, as under light from one side, ink is
    what deviates strongly and rarely from a smooth surface.
    """
    threshold, _ = cv2.threshold(page, 0, 255, cv2.THRESH_OTSU)
    light = float((border(page) > threshold).mean())
    if light >= CLEAR_BORDER:
        return "dark"
    if light <= 1 - CLEAR_BORDER:
        return "light"
    small = _sampled(page)
    deviation = small - _Surface(small, np.ones(small.shape, bool)).at(small.shape)
    return "light" if float((deviation**3).sum()) > 0 else "dark"


def _ink_of(page: Page, ink: Ink) -> InkShare | None:
    """The share of ink of each pixel; None if nothing contrasts with the paper."""
    contrast = _contrast_to_paper(page, ink)
    least, most, _, _ = cv2.minMaxLoc(contrast)
    if most - least < LEAST_CONTRAST:
        return None
    levels = cv2.convertScaleAbs(contrast - np.float32(least), alpha=255 / (most - least))
    counts = cv2.calcHist([levels], [0], None, [256], [0, 256]).ravel().astype(np.float64)
    values = np.linspace(least, most, 256)
    cut = int(cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)[0]) + 1
    paper, strokes = counts[:cut], counts[cut:]
    average = paper @ values[:cut] / paper.sum()
    deviation = np.sqrt(paper @ (values[:cut] - average) ** 2 / paper.sum())
    distance = strokes @ values[cut:] / strokes.sum() - average
    if distance < max(LEAST_CONTRAST, LEAST_SEPARATION * deviation):
        return None
    # Between the two classes there are often empty levels: the threshold is in their middle.
    used = np.flatnonzero(counts)
    threshold = values[used[np.searchsorted(used, cut) + np.array([-1, 0])]].mean()
    middle = _quantile(values, paper, 0.5)
    noise = middle - _quantile(values, paper, 0.16)
    low = min(middle + 3 * noise, threshold)
    high = max(_quantile(values[cut:], strokes, 0.9), low + LEAST_CONTRAST / 2)
    share: InkShare = np.clip((contrast - np.float32(low)) / np.float32(high - low), 0, 1)
    return share


def _quantile(values: NDArray[np.float64], counts: NDArray[np.float64], share: float) -> float:
    return float(values[np.searchsorted(counts.cumsum(), share * counts.sum())])


def _contrast_to_paper(page: Page, ink: Ink) -> NDArray[np.float32]:
    """How far each pixel is from the paper towards the ink, as a share of what is possible."""
    small = _sampled(page)
    towards = -1.0 if ink == "dark" else 1.0
    surface = _Surface(np.full(small.shape, np.median(small), np.float32), np.ones(small.shape, bool))
    kept = None
    for _ in range(SURFACE_ROUNDS):
        deviation = (towards * (small - surface.at(small.shape)) + 128).clip(0, 255).astype(np.uint8)
        paper = deviation <= cv2.threshold(deviation, 0, 255, cv2.THRESH_OTSU)[0]
        if not paper.any() or (kept is not None and np.array_equal(paper, kept)):
            break
        kept = paper
        surface = _Surface(small, kept)
    full = surface.at(page.shape).clip(0, 255)
    span = full if ink == "dark" else 255 - full
    contrast: NDArray[np.float32] = np.float32(towards) * (page - full) / np.maximum(span, 25)
    return contrast


def _sampled(page: Page) -> NDArray[np.float32]:
    """At most 64 x 64 of the page's own pixels."""
    rows, columns = (
        ((np.arange(min(side, SURFACE_SIDE)) + 0.5) * max(side / SURFACE_SIDE, 1)).astype(int)
        for side in page.shape
    )
    sampled: NDArray[np.float32] = page[rows[:, None], columns].astype(np.float32)
    return sampled


class _Surface:
    """The quadratic that fits best some pixels of a page.

    Args:
        page: (height, width).
        where: The pixels that count.
    """

    def __init__(self, page: NDArray[np.float32], where: NDArray[np.bool_]) -> None:
        down, across = _powers(page.shape[0]), _powers(page.shape[1])
        self._places = [(i, j) for i in range(3) for j in range(3 - i)]
        design = np.stack([np.outer(down[i], across[j])[where] for i, j in self._places])
        # A trace of damping, for paper that is too small to tell a slope from a curve.
        damping = 1e-6 * design.shape[1] * np.eye(len(design))
        self._weights = np.linalg.solve(design @ design.T + damping, design @ page[where])

    def at(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """The surface, drawn at a size."""
        weights = np.zeros((3, 3))
        for place, weight in zip(self._places, self._weights, strict=True):
            weights[place] = weight
        down, across = _powers(shape[0]), _powers(shape[1])
        surface: NDArray[np.float32] = down.T.astype(np.float32) @ (weights @ across).astype(np.float32)
        return surface


def _powers(length: int) -> NDArray[np.float64]:
    place = (np.arange(length) + 0.5) / length * 2 - 1
    return np.stack([np.ones(length), place, place * place])
