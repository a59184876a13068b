"""Any picture of one character becomes an image like EMNIST's own, or is refused by name."""

from __future__ import annotations

import csv
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from toolkit.data import picture_page, prepare_picture
from toolkit.data.picture_clutter import connected_regions
from toolkit.data.picture_container import PNG_SIGNATURE, exif_orientation
from toolkit.data.picture_fit import stroke_width
from toolkit.data.picture_ink import otsu_threshold
from toolkit.errors import (
    LimitReachedError,
    MissingInputError,
    ToolkitError,
    UnreadableInputError,
    UnsupportedError,
)

# Different roads to the same picture may differ by this much, of 255, in the mean.
CLOSE = 5.0


def draw(
    character: str = "R",
    *,
    size: tuple[int, int] = (320, 240),
    height: int = 130,
    ink: int = 20,
    paper: int = 235,
) -> Image.Image:
    image = Image.new("L", size, paper)
    middle = (size[0] / 2, size[1] / 2)
    ImageDraw.Draw(image).text(middle, character, font=ImageFont.load_default(height), fill=ink, anchor="mm")
    return image


def encoded(image: Image.Image, format: str = "PNG", **settings: object) -> bytes:  # noqa: A002
    buffer = io.BytesIO()
    image.save(buffer, format, **settings)
    return buffer.getvalue()


def difference(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> float:
    return float(np.abs(left.astype(np.float64) - right).mean())


@pytest.fixture(scope="module")
def plain() -> NDArray[np.uint8]:
    return prepare_picture(encoded(draw()))


def transparent(colour: tuple[int, int, int]) -> Image.Image:
    shape = draw(ink=255, paper=0)
    image = Image.new("RGBA", shape.size, (*colour, 0))
    image.putalpha(shape)
    return image


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
    # A font is no mere enlargement of itself: small sizes are fitted to the pixels.
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
def test_the_orientation_of_a_camera_is_undone(
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
    # Left in, it makes the character small, a difference of more than 50; short ends of lines stay.
    assert difference(prepare_picture(encoded(CLUTTER[clutter]())), plain) < 4 * CLOSE


@pytest.mark.parametrize("character", "0OQDBGAi■")
def test_nothing_of_a_character_is_taken_for_a_frame(character: str) -> None:
    sheet = prepare_picture(encoded(draw(character, height=160)))
    told = prepare_picture(encoded(draw(character, height=160)), ink="dark")
    assert np.array_equal(sheet, told)
    assert sheet[14, :].max() > 100


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


# --- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "page",
    [
        Image.new("L", (1, 1), 0),
        Image.new("L", (50, 50), 255),
        Image.new("RGBA", (50, 50), (0, 0, 0, 0)),
        Image.fromarray(np.linspace(30, 220, 200 * 100).reshape(200, 100).astype(np.uint8)),
        Image.fromarray(np.random.default_rng(0).normal(200, 5, (200, 200)).astype(np.uint8)),
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200), dtype=np.uint8)),
    ],
    ids=["one pixel", "white", "transparent", "shading", "grain", "noise"],
)
def test_a_page_without_ink(page: Image.Image) -> None:
    with pytest.raises(UnreadableInputError, match="no ink was found in the picture"):
        prepare_picture(encoded(page))


def test_errors_name_the_file(tmp_path: Path) -> None:
    blank, text, missing = tmp_path / "blank.png", tmp_path / "notes.png", tmp_path / "nothing.png"
    blank.write_bytes(encoded(Image.new("L", (50, 50), 255)))
    text.write_text("no picture")
    with pytest.raises(UnreadableInputError, match=r"no ink was found in .*blank\.png"):
        prepare_picture(blank)
    with pytest.raises(UnreadableInputError, match=r"notes\.png is not a picture"):
        prepare_picture(text)
    with pytest.raises(MissingInputError, match=r"nothing\.png"):
        prepare_picture(missing)
    with pytest.raises(UnreadableInputError, match="is not a file"):
        prepare_picture(tmp_path)


def test_a_file_and_its_bytes_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "r.jpg"
    path.write_bytes(encoded(draw(), "JPEG"))
    assert np.array_equal(prepare_picture(path), prepare_picture(path.read_bytes()))


@pytest.mark.parametrize("format", ["GIF", "BMP", "TIFF", "WEBP"])
def test_other_formats_are_refused_by_name(format: str) -> None:  # noqa: A002
    with pytest.raises(UnsupportedError, match="is a"):
        prepare_picture(encoded(draw(), format))


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.95])
def test_a_truncated_picture(format: str, share: float) -> None:  # noqa: A002
    content = encoded(draw(), format)
    with pytest.raises(UnreadableInputError, match=r"ends early|damaged|not a picture"):
        prepare_picture(content[: int(len(content) * share)])


def png_declaring(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        PNG_SIGNATURE
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 99))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(5001, 5000), (200_000, 200_000), (2**31 - 1, 1)])
def test_pixels_are_counted_before_they_are_decoded(
    width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_page, "_decode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(LimitReachedError, match=f"{width} x {height} pixels"):
        prepare_picture(png_declaring(width, height))


def test_bytes_are_counted_before_anything(tmp_path: Path) -> None:
    path = tmp_path / "long.png"
    path.write_bytes(encoded(draw()) + bytes(picture_page.MAX_BYTES))
    with pytest.raises(LimitReachedError, match="more than 10 MB"):
        prepare_picture(path)


def test_a_large_picture_within_the_limits() -> None:
    assert prepare_picture(encoded(draw(size=(5000, 5000), height=3000))).max() == 255


def test_metadata_never_reaches_the_decoder() -> None:
    """A text chunk that unpacks to more than Pillow takes would be an error otherwise."""
    content = encoded(draw())
    body = b"Comment\0\0" + zlib.compress(bytes(100_000_000))
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    after_header = len(PNG_SIGNATURE) + 25
    assert prepare_picture(content[:after_header] + chunk + content[after_header:]).max() == 255


def result_or_refusal(content: bytes) -> None:
    try:
        image = prepare_picture(content)
    except ToolkitError as error:
        refusal = str(error)
    else:
        refusal = ""
        assert image.shape == (28, 28)
        assert image.dtype == np.uint8
        assert image.max() == 255
    assert "\n" not in refusal


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"", PNG_SIGNATURE, b"\xff\xd8\xff", b"\xff\xd8\xff\xe1\x00\x20Exif\0\0"]),
    st.binary(max_size=300),
)
def test_any_bytes_give_an_image_or_a_refusal(head: bytes, tail: bytes) -> None:
    result_or_refusal(head + tail)


SMALL = draw(size=(60, 50), height=36)
VALID = (
    encoded(SMALL),
    encoded(SMALL.convert("RGB"), "JPEG"),
    encoded(SMALL.convert("P")),
    encoded(transparent((9, 9, 9)).resize((40, 30))),
    encoded(SMALL, "JPEG", progressive=True),
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), max_size=4),
)
def test_any_damage_gives_an_image_or_a_refusal(content: bytes, damage: list[tuple[float, bytes]]) -> None:
    damaged = bytearray(content)
    for place, change in damage:
        start = int(place * (len(damaged) - 1))
        damaged[start : start + len(change)] = change
    result_or_refusal(bytes(damaged))


@given(st.binary(max_size=80))
def test_any_exif_gives_an_orientation(exif: bytes) -> None:
    assert 1 <= exif_orientation(b"II*\0" + exif) <= 8
    assert 1 <= exif_orientation(exif) <= 8


# --- the parts -----------------------------------------------------------------------------


def test_otsu_cuts_in_the_middle_between_two_levels() -> None:
    assert otsu_threshold(np.repeat([0.2, 0.8], [90, 10])) == pytest.approx(0.5, abs=0.01)


def test_regions_hang_together_by_corners() -> None:
    mask = np.zeros((40, 40), bool)
    mask[np.arange(20), np.arange(20)] = True
    mask[30, :] = mask[25:31, 39] = True
    mask[20:, 0] = True
    labels = connected_regions(mask)
    assert len(np.unique(labels[mask])) == 2
    assert labels[30, 5] == labels[39, 0]
    assert labels[0, 0] == labels[19, 19] != labels[30, 5]
    assert not labels[~mask].any()
