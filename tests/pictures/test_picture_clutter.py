"""Dust, lines, frames and tables are left out; nothing of a character is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from drawings import CLOSE, difference, draw, encoded
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from toolkit.pictures import prepare_picture
from toolkit.pictures.clutter import connected_regions


def test_noise_and_dust_are_left_out(plain: NDArray[np.uint8]) -> None:
    image = draw()
    dust = ImageDraw.Draw(image)
    rng = np.random.default_rng(0)
    for x, y in zip(rng.integers(0, 310, 20), rng.integers(0, 230, 20), strict=True):
        dust.ellipse((x, y, x + 2, y + 2), fill=60)
    page = np.asarray(image, np.float64) + rng.normal(0, 10, (240, 320))
    seen = prepare_picture(encoded(Image.fromarray(page.clip(0, 255).astype(np.uint8))))
    assert difference(seen, plain) < 2 * CLOSE


def lined(*, every: tuple[int, int], shade: int) -> Image.Image:
    """A character on ruled or squared paper: a line every so many columns and rows, 0 for none."""
    page = np.asarray(draw()).copy()
    for lines, step in ((page, every[1]), (page.T, every[0])):
        for line in range(step // 2, len(lines), step) if step else ():
            lines[line : line + 2] = np.minimum(lines[line : line + 2], shade)
    return Image.fromarray(page)


def framed(edge: int, width: int) -> Image.Image:
    page = draw()
    box = (edge, edge, page.width - 1 - edge, page.height - 1 - edge)
    ImageDraw.Draw(page).rectangle(box, outline=20, width=width)
    return page


def on_a_table(sheet: Image.Image, table: int) -> Image.Image:
    page = Image.new("L", (sheet.width + 160, sheet.height + 120), table)
    page.paste(sheet, (90, 70))
    noise = np.random.default_rng(0).normal(0, 4, (page.height, page.width))
    return Image.fromarray((np.asarray(page) + noise).clip(0, 255).astype(np.uint8))


CLUTTER: dict[str, Callable[[], Image.Image]] = {
    "ruled paper": lambda: lined(every=(0, 30), shade=190),
    "squared paper": lambda: lined(every=(24, 24), shade=190),
    "frame": lambda: framed(12, 3),
    "frame at the edge": lambda: framed(0, 1),
    "broad frame at the edge": lambda: framed(0, 12),
    "sheet on a dark table": lambda: on_a_table(draw(), 70),
    "dark card on white": lambda: on_a_table(draw(ink=235, paper=20), 250),
    "very pale ink": lambda: draw(ink=222),
}


@pytest.mark.parametrize("clutter", CLUTTER)
def test_what_surrounds_a_character_is_left_out(clutter: str, plain: NDArray[np.uint8]) -> None:
    # If it stays, the character is small, a difference of more than 50; short ends of lines stay.
    assert difference(prepare_picture(encoded(CLUTTER[clutter]())), plain) < 4 * CLOSE


@pytest.mark.parametrize("character", "0OQDBGAi■")
def test_nothing_of_a_character_is_taken_for_a_frame(character: str) -> None:
    sheet = prepare_picture(encoded(draw(character, height=160)))
    told = prepare_picture(encoded(draw(character, height=160)), ink="dark")
    assert np.array_equal(sheet, told)
    assert sheet[14, :].max() > 100


def test_regions_are_connected_by_corners() -> None:
    ink = np.zeros((40, 40), np.float32)
    ink[np.arange(20), np.arange(20)] = 1
    ink[30, :] = ink[25:31, 39] = 1
    ink[20:, 0] = 1
    labels, _ = connected_regions(ink)
    assert len(np.unique(labels[ink > 0])) == 2
    assert labels[30, 5] == labels[39, 0]
    assert labels[0, 0] == labels[19, 19] != labels[30, 5]
    assert not labels[ink == 0].any()
