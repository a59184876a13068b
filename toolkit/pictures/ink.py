"""The ink on a page: its shade found, and paper, shading and clutter removed."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UnreadableInputError
from toolkit.pictures.clutter import without_clutter
from toolkit.pictures.decoding import Page, border
from toolkit.vocabulary import Ink

# Ink must differ from the paper by this share of the range between paper and black (or white),
# and by this many deviations of the paper. Noise cut in two differs by fewer than 3.5.
LEAST_CONTRAST = 0.04
LEAST_SEPARATION = 4.0

# A page of which more than this is ink has its paper taken for ink.
MOST_INK = 0.5

# The border decides the shade of the ink if this share of it is on one side of the threshold.
CLEAR_BORDER = 0.8

# A smooth surface needs few samples.
SURFACE_SIDE = 48
SURFACE_ROUNDS = 8
# The exponents of y and of x, at most 2 together.
QUADRATIC = np.nonzero(np.tri(3)[::-1])


def find_ink(page: Page, *, ink: Ink | None, name: str) -> NDArray[np.float32]:
    """Separate the ink from the paper.

    The paper is a smooth surface (a quadratic, fitted to the pixels that are not ink), so light
    from one side has no effect. Otsu's threshold separates ink from paper; ink and paper levels
    become 1 and 0, and all greys between them are kept, because they show where a stroke ends.

    Returns:
        (height, width), 0 paper to 1 ink.

    Reference:
        Otsu, A threshold selection method from gray-level histograms, 1979.
    """
    likely = ink or decide_ink(page)
    other: Ink = "light" if likely == "dark" else "dark"
    found = _ink_of(page, likely)
    if found is None and ink is None:
        # Under light from the middle the border is dark although the ink is, too.
        found = _ink_of(page, other)
        found = None if found is None or found.mean() > MOST_INK else found
    if found is None:
        hint = "give a picture of one dark character on light paper, or of a light one on dark"
        raise UnreadableInputError(f"no ink was found in {name}", hint=hint)
    strokes, kind = without_clutter(found)
    if ink is None and kind == "sheet" and (on_the_sheet := _ink_of(page, other)) is not None:
        inner, kind = without_clutter(on_the_sheet)
        strokes = inner if kind == "framed" else strokes
    return strokes


def decide_ink(page: Page) -> Ink:
    """Whether the ink is lighter or darker than the paper.

    The border is paper. If it is half light and half dark, as under light from one side, ink is
    what deviates strongly and rarely from a smooth surface.
    """
    light = float((border(page) > cv2.threshold(page, 0, 255, cv2.THRESH_OTSU)[0]).mean())
    if light >= CLEAR_BORDER:
        return "dark"
    if light <= 1 - CLEAR_BORDER:
        return "light"
    small = _sampled(page)
    deviation = small - _surface(_fitted(small, np.ones(small.shape)), small.shape)
    return "light" if float((deviation**3).sum()) > 0 else "dark"


def _ink_of(page: Page, ink: Ink) -> NDArray[np.float32] | None:
    """The share of ink of each pixel; None if nothing contrasts with the paper."""
    contrast = _contrast_to_paper(page, ink)
    least, most, _, _ = cv2.minMaxLoc(contrast)
    if most - least < LEAST_CONTRAST:
        return None
    levels = cv2.normalize(contrast, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)
    counts = np.bincount(levels.ravel(), minlength=256)
    values = np.linspace(least, most, 256, dtype=np.float32)
    cut = int(cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)[0]) + 1
    paper, strokes = np.repeat(values[:cut], counts[:cut]), np.repeat(values[cut:], counts[cut:])
    if strokes.mean() - paper.mean() < max(LEAST_CONTRAST, LEAST_SEPARATION * paper.std()):
        return None
    below, middle = paper[int(0.16 * len(paper))], paper[len(paper) // 2]
    # Between the two classes there are often empty levels: the threshold is in their middle.
    low = min(middle + 3 * (middle - below), (paper[-1] + strokes[0]) / 2)
    high = max(strokes[int(0.9 * len(strokes))], low + LEAST_CONTRAST / 2)
    share: NDArray[np.float32] = np.clip((contrast - np.float32(low)) / np.float32(high - low), 0, 1)
    return share


def _contrast_to_paper(page: Page, ink: Ink) -> NDArray[np.float32]:
    """How far each pixel is from the paper towards the ink, as a share of what is possible."""
    small = _sampled(page)
    towards = np.float32(-1 if ink == "dark" else 1)
    paper, weights = np.ones(small.shape, bool), np.zeros((3, 3))
    weights[0, 0] = np.median(small)
    for _ in range(SURFACE_ROUNDS):
        deviation = (towards * (small - _surface(weights, small.shape)) + 128).clip(0, 255).astype(np.uint8)
        before, paper = paper, deviation <= cv2.threshold(deviation, 0, 255, cv2.THRESH_OTSU)[0]
        if np.array_equal(paper, before):
            break
        weights = _fitted(small, paper)
    full = _surface(weights, page.shape).clip(0, 255)
    possible = np.maximum(full if ink == "dark" else 255 - full, 25)
    contrast: NDArray[np.float32] = towards * (page - full) / possible
    return contrast


def _sampled(page: Page) -> NDArray[np.float32]:
    """At most 48 x 48 of the page's own pixels."""
    size = tuple(min(side, SURFACE_SIDE) for side in reversed(page.shape))
    sampled: NDArray[np.uint8] = cv2.resize(page, size, interpolation=cv2.INTER_NEAREST_EXACT)
    return sampled.astype(np.float32)


def _fitted(page: NDArray[np.float32], where: NDArray[Any]) -> NDArray[np.float64]:
    """The (3, 3) weights of the powers of y and x in the quadratic that fits some pixels best."""
    y, x = QUADRATIC
    design = (_powers(page.shape[0])[y, :, None] * _powers(page.shape[1])[x, None, :]).reshape(len(y), -1)
    counted = design * where.ravel()
    # A trace of damping, for paper that is too small to tell a slope from a curve.
    damping = 1e-6 * design.shape[1] * np.eye(len(design))
    weights = np.zeros((3, 3))
    weights[y, x] = np.linalg.solve(counted @ design.T + damping, counted @ page.ravel())
    return weights


def _surface(weights: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    down, across = _powers(shape[0]), weights @ _powers(shape[1])
    # NumPy's product would start threads.
    surface: NDArray[np.float32] = cv2.gemm(
        down.astype(np.float32), across.astype(np.float32), 1, None, 0, flags=cv2.GEMM_1_T
    )
    return surface


def _powers(length: int) -> NDArray[np.float64]:
    return np.vander((np.arange(length) + 0.5) / length * 2 - 1, 3, increasing=True).T
