"""The ink on a page: which of two shades it is, freed from paper, shading and specks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.data.picture_page import border
from toolkit.errors import UnreadableInputError
from toolkit.types import Ink

Page = NDArray[np.float32]

# Ink must differ from the paper by this share of the range between paper and black (or white),
# and by this many deviations of the paper. Noise cut in two differs by fewer than 3.5.
LEAST_CONTRAST = 0.08
LEAST_SEPARATION = 4.0

# A border is believed when this share of it lies on one side of the threshold.
CLEAR_BORDER = 0.8

# Spots with less than this share of the ink of the largest connected stroke are dirt; the dot of
# an i has about 0.1.
SPECK = 0.02
SPECK_LEVEL = 0.06

# A smooth surface needs few samples, the distance between spots some more.
SURFACE_SIDE = 96
REGION_SIDE = 256


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
    found = _ink_of(page, likely)
    if found is None and ink is None:
        # Under light from the middle the border is dark although the ink is, too.
        found = _ink_of(page, "light" if likely == "dark" else "dark")
    if found is None:
        raise UnreadableInputError(
            f"no ink was found in {name}",
            hint="one dark character on light paper, or light on dark, is read",
        )
    return without_specks(found)


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


def without_specks(ink: Page) -> Page:
    """Ink without the spots that hold almost none of it, and without what touches no stroke."""
    step = max(1, -(-max(ink.shape) // REGION_SIDE))
    height, width = -(-ink.shape[0] // step), -(-ink.shape[1] // step)
    padded = np.zeros((height * step, width * step), np.float32)
    padded[: ink.shape[0], : ink.shape[1]] = ink
    blocks = padded.reshape(height, step, width, step)
    labels = connected_regions(blocks.max((1, 3)) > SPECK_LEVEL)
    amounts = np.bincount(labels.ravel(), weights=blocks.sum((1, 3), dtype=np.float64).ravel())
    amounts[0] = 0
    keep = amounts >= SPECK * amounts.max()
    keep[0] = False
    mask = keep[labels].repeat(step, axis=0).repeat(step, axis=1)[: ink.shape[0], : ink.shape[1]]
    return np.where(mask, ink, np.float32(0))


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
