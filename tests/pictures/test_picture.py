"""Any picture of one character becomes an image like EMNIST's own."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawings import CLOSE, difference, draw, encoded, transparent
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from toolkit.pictures import prepare_picture
from toolkit.pictures.fit import stroke_width
from toolkit.pictures.ink import find_ink


def deep(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image).astype(np.uint16) * 257)


MODES: dict[str, Callable[[], Image.Image]] = {
    "1": lambda: draw(ink=0, paper=255).convert("1", dither=Image.Dither.NONE),
    "L": draw,
    "LA": lambda: draw().convert("LA"),
    "P": lambda: draw().convert("P"),
    "RGB": lambda: draw().convert("RGB"),
    "RGBA": lambda: draw().convert("RGBA"),
    "16 bit": lambda: deep(draw()),
    "light ink": lambda: draw(ink=240, paper=10),
    "faint": lambda: draw(ink=190),
    "transparent around dark ink": lambda: transparent((20, 20, 60)),
    "transparent around light ink": lambda: transparent((255, 255, 240)),
    "LA, transparent": lambda: transparent((30, 30, 30)).convert("LA"),
    "blue on yellow": lambda: Image.merge("RGB", (draw(), draw(), draw(ink=160, paper=90))),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_gives_the_same_image(mode: str, plain: NDArray[np.uint8]) -> None:
    image = prepare_picture(encoded(MODES[mode]()))
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    assert difference(image, plain) < CLOSE


@pytest.mark.parametrize("size", [(120, 90), (640, 480), (3000, 2250)])
def test_the_size_of_the_picture_does_not_matter(size: tuple[int, int], plain: NDArray[np.uint8]) -> None:
    # Small sizes of a font are not exact reductions of large ones: they are fitted to the pixels.
    image = prepare_picture(encoded(draw(size=size, height=size[1] * 130 // 240)))
    assert difference(image, plain) < 2 * CLOSE


def test_the_place_in_the_picture_does_not_matter(plain: NDArray[np.uint8]) -> None:
    page = Image.new("L", (900, 700), 235)
    page.paste(draw(), (560, 440))
    assert difference(prepare_picture(encoded(page)), plain) < CLOSE


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg(mode: str, plain: NDArray[np.uint8]) -> None:
    assert difference(prepare_picture(encoded(draw().convert(mode), "JPEG", quality=85)), plain) < CLOSE


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_camera_is_applied(
    orientation: int,
    format: str,  # noqa: A002
    plain: NDArray[np.uint8],
) -> None:
    inverse = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = draw().transpose(inverse[orientation]) if orientation in inverse else draw()
    quality = {"quality": 95} if format == "JPEG" else {}
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert difference(prepare_picture(encoded(stored, format, exif=exif.tobytes(), **quality)), plain) < CLOSE


@pytest.mark.parametrize("ink", [20, 240])
@pytest.mark.parametrize("direction", ["right", "down"])
def test_light_from_one_side(ink: int, direction: str, plain: NDArray[np.uint8]) -> None:
    page = np.asarray(draw(ink=ink, paper=255 - ink), np.float64)
    ramp = np.linspace(1.0, 0.45, page.shape[1 if direction == "right" else 0])
    page = page * (ramp[None, :] if direction == "right" else ramp[:, None])
    # Light ink itself is half as bright on the far side, which leaves thinner strokes there.
    most = CLOSE if ink == 20 else 2 * CLOSE
    assert difference(prepare_picture(encoded(Image.fromarray(page.astype(np.uint8)))), plain) < most


def test_light_from_the_middle(plain: NDArray[np.uint8]) -> None:
    page = np.asarray(draw(), np.float64)
    y, x = np.mgrid[-1 : 1 : page.shape[0] * 1j, -1 : 1 : page.shape[1] * 1j]
    page = page * (1 - 0.35 * (x * x + y * y))
    assert difference(prepare_picture(encoded(Image.fromarray(page.astype(np.uint8)))), plain) < CLOSE


# --- the fit -------------------------------------------------------------------------------


def test_thin_strokes_become_as_thick_as_emnist_s() -> None:
    widths = []
    for width in (1, 2, 4, 20):
        page = Image.new("L", (200, 200), 255)
        line = [(60, 50), (130, 45), (90, 95), (145, 130), (120, 160), (55, 165)]
        ImageDraw.Draw(page).line(line, fill=0, width=width, joint="curve")
        widths.append(stroke_width(prepare_picture(encoded(page)) / np.float32(255)))
    assert min(widths) > 2.2
    assert max(widths[:3]) < 3.4


def test_the_dot_of_an_i_is_kept() -> None:
    inked = prepare_picture(encoded(draw("i"))).max(1) > 100
    runs = np.diff(np.concatenate([[0], inked.astype(int), [0]]))
    assert (runs == 1).sum() == 2


def test_ink_can_be_told() -> None:
    page = Image.new("L", (100, 100), 30)
    page.paste(220, (40, 20, 60, 80))
    light, dark = (prepare_picture(encoded(page), ink=ink) for ink in ("light", "dark"))
    assert light[14, 14] == 255
    assert dark[14, 14] == 0


def test_the_fit_is_emnist_s() -> None:
    image = prepare_picture(encoded(draw("H")))
    rows, columns = np.flatnonzero(image.max(1) > 20), np.flatnonzero(image.max(0) > 20)
    assert 23 <= rows[-1] - rows[0] + 1 <= 25
    assert (rows[0] + rows[-1] + 1) / 2 == pytest.approx(14, abs=0.5)
    assert (columns[0] + columns[-1] + 1) / 2 == pytest.approx(14, abs=0.5)
    assert image.max() == 255
    assert not image[0].any()
    assert not image[-1].any()


def test_the_aspect_is_kept() -> None:
    page = Image.new("L", (400, 400), 255)
    page.paste(0, (150, 50, 250, 350))
    inked = prepare_picture(encoded(page)) > 127
    assert inked.any(1).sum() / inked.any(0).sum() == pytest.approx(300 / 100, rel=0.15)


def test_a_soft_picture_gets_no_softer(plain: NDArray[np.uint8]) -> None:
    soft = prepare_picture(encoded(draw().filter(ImageFilter.GaussianBlur(1.5))))
    assert difference(soft, plain) < CLOSE


@pytest.fixture(scope="module")
def emnist(shared: Path) -> NDArray[np.uint8]:
    with (shared / "data" / "emnist" / "emnist-byclass-test.csv").open(newline="") as file:
        rows = [row for _, row in zip(range(150), csv.reader(file), strict=False)]
    return np.array(rows, np.uint8)[:, 1:].reshape(-1, 28, 28).transpose(0, 2, 1)


@pytest.mark.parametrize("times", [1, 5])
def test_emnist_s_own_images_stay_as_they_are(emnist: NDArray[np.uint8], times: int) -> None:
    differences = []
    for glyph in emnist:
        image = Image.fromarray(np.ascontiguousarray(glyph))
        larger = image.resize((28 * times, 28 * times), Image.Resampling.BICUBIC)
        differences.append(difference(prepare_picture(encoded(larger)), glyph))
    # Ink covers a sixth of an image: another glyph of the same class differs by about 45.
    assert np.median(differences) < 7
    assert np.percentile(differences, 95) < 20


def test_paper_becomes_0_and_ink_becomes_1() -> None:
    page = np.full((60, 80), 200, np.uint8)
    page[20:40, 30:36] = 120
    ink = find_ink(page, ink=None, name="the picture")
    assert ink == pytest.approx((page == 120).astype(np.float32), abs=1e-3)


def test_a_grey_halfway_between_paper_and_ink_is_half_ink() -> None:
    page = np.full((60, 80), 200, np.uint8)
    page[20:40, 29:37] = 160
    page[20:40, 30:36] = 120
    assert find_ink(page, ink="dark", name="the picture")[30, 29] == pytest.approx(0.5, abs=0.05)
