"""The ink on a page: which of two shades it is, freed from paper and shading."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UnreadableInputError
from toolkit.pictures.clutter import is_sheet, without_clutter
from toolkit.pictures.page import border
from toolkit.vocabulary import Ink

Page = NDArray[np.float32]

# Ink must differ from the paper by this share of the range between paper and black (or white),
# and by this many deviations of the paper. Noise cut in two differs by fewer than 3.5.
LEAST_CONTRAST = 0.04
LEAST_SEPARATION = 4.0

# Paper that was taken for ink covers more of the page than this.
MOST_INK = 0.5

# A border is believed when this share of it lies on one side of the threshold.
CLEAR_BORDER = 0.8

# A smooth surface needs few samples.
SURFACE_SIDE = 96


def find_ink(page: Page, *, ink: Ink | None, name: str) -> Page:
    """Tell the ink from the paper.

    The paper is a smooth surface (a quadratic, fitted to the pixels that are not ink), so that
    light from one side does no harm. Otsu's threshold tells ink from paper; ink and paper
    levels become 1 and 0 with all greys between them kept, for the soft edge of a stroke says
    where it ends.

    Args:
        page: (height, width), 0 black to 1 white.
        ink: Light or dark; None to decide it from the border against the rest.
        name: What to call the picture in errors.

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
    if found is not None and ink is None and is_sheet(found):
        strokes = _ink_of(page, other)
        if strokes is not None:
            strokes, on_the_sheet = without_clutter(strokes)
            if on_the_sheet:
                return strokes
    if found is None and ink is None:
        # Under light from the middle the border is dark although the ink is, too.
        found = _ink_of(page, other)
        if found is not None and found.mean() > MOST_INK:
            found = None
    if found is None:
        raise UnreadableInputError(
            f"no ink was found in {name}",
            hint="one dark character on light paper, or light on dark, is read",
        )
    return without_clutter(found)[0]


def _ink_of(page: Page, ink: Ink) -> Page | None:
    """The share of ink of each pixel, None where nothing stands out from the paper."""
    contrast = _contrast_to_paper(page, ink)
    threshold = otsu_threshold(contrast)
    paper, strokes = contrast[contrast < threshold], contrast[contrast >= threshold]
    if not len(paper) or not len(strokes):
        return None
    distance = float(strokes.mean() - paper.mean())
    if distance < LEAST_CONTRAST or distance < LEAST_SEPARATION * float(paper.std()):
        return None
    middle = np.median(paper)
    noise = 1.4826 * np.median(np.abs(paper - middle))
    low = min(float(middle + 3 * noise), threshold)
    high = max(float(np.percentile(strokes, 90)), low + LEAST_CONTRAST / 2)
    share: Page = np.clip((contrast - low) / (high - low), 0, 1).astype(np.float32)
    return share


def decide_ink(page: Page) -> Ink:
    """Whether the ink is lighter or darker than the paper.

    The border is paper. Where it is half light and half dark, as under light from one side,
    ink is what deviates strongly and rarely from a smooth surface.
    """
    light = float((border(page) >= otsu_threshold(page)).mean())
    if light >= CLEAR_BORDER:
        return "dark"
    if light <= 1 - CLEAR_BORDER:
        return "light"
    small = _thinned(page)
    deviation = small - _fitted_surface(small, np.ones(small.shape, bool), small.shape)
    return "light" if float((deviation**3).sum()) > 0 else "dark"


def otsu_threshold(values: NDArray[Any]) -> float:
    """The value that splits values into two classes of greatest variance between them.

    Args:
        values: Of any shape; at least one.

    Returns:
        A threshold; the upper class is what is equal or above. The value itself where all are equal.
    """
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-6:
        return low
    counts, edges = np.histogram(values, 256, (low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = counts.sum() - below
    total = np.cumsum(counts * centres)
    between = (
        below
        * above
        * (total[:-1] / np.maximum(below, 1) - (total[-1] - total[:-1]) / np.maximum(above, 1)) ** 2
    )
    # Empty bins between the classes tie: their middle is the fair cut.
    best = np.flatnonzero(between >= between.max() * (1 - 1e-12))
    return float(edges[1:-1][best[[0, -1]]].mean())


def _contrast_to_paper(page: Page, ink: Ink) -> Page:
    """How far each pixel lies from the paper towards the ink, as a share of what is possible."""
    small = _thinned(page)
    towards = -1.0 if ink == "dark" else 1.0
    surface = np.full(small.shape, np.median(small), np.float32)
    kept = np.zeros(small.shape, bool)
    for _ in range(8):
        deviation = towards * (small - surface)
        paper = deviation < otsu_threshold(deviation)
        if not paper.any() or np.array_equal(paper, kept):
            break
        kept = paper
        surface = _fitted_surface(small, kept, small.shape)
    full = (
        _fitted_surface(small, kept, page.shape)
        if kept.any()
        else np.full(page.shape, surface.flat[0], np.float32)
    )
    full = np.clip(full, 0, 1)
    span = full if ink == "dark" else 1 - full
    return (towards * (page - full) / np.maximum(span, 0.1)).astype(np.float32)


def _thinned(page: Page) -> Page:
    step = max(1, max(page.shape) // SURFACE_SIDE)
    return page[step // 2 :: step, step // 2 :: step] if min(page.shape) > step else page


def _fitted_surface(page: Page, where: NDArray[np.bool_], shape: tuple[int, ...]) -> Page:
    """The quadratic that fits a page best at some of its pixels, drawn at another size."""

    def terms(height: int, width: int) -> list[NDArray[np.float64]]:
        y = ((np.arange(height) + 0.5) / height * 2 - 1)[:, None]
        x = ((np.arange(width) + 0.5) / width * 2 - 1)[None, :]
        one = np.ones((height, width))
        return [one, x * one, y * one, x * x * one, x * y, y * y * one]

    design = np.stack([term[where] for term in terms(*page.shape)], axis=1)
    # A trace of damping, for paper that is too small to tell a slope from a curve.
    damping = 1e-6 * len(design) * np.eye(design.shape[1])
    weights = np.linalg.solve(design.T @ design + damping, design.T @ page[where].astype(np.float64))
    surface = np.zeros(shape)
    for weight, term in zip(weights, terms(shape[0], shape[1]), strict=True):
        surface += weight * term
    return surface.astype(np.float32)
