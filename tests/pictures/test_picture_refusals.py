"""What is not a picture of a character is refused with its name and the reason, whatever its bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawings import draw, encoded, transparent
from hostile import PALETTE, PNG_SIGNATURE, png
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from toolkit.errors import (
    LimitReachedError,
    MissingInputError,
    ToolkitError,
    UnreadableInputError,
    UnsupportedError,
)
from toolkit.pictures import decoding, prepare_picture


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
    with pytest.raises(UnreadableInputError, match="not a file"):
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
    with pytest.raises(UnreadableInputError, match=r"truncated|damaged|not a picture"):
        prepare_picture(content[: int(len(content) * share)])


@pytest.mark.parametrize(("width", "height"), [(5001, 5000), (200_000, 200_000), (2**31 - 1, 1)])
def test_pixels_are_counted_before_they_are_decoded(
    width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_decode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(LimitReachedError, match=f"{width} x {height} pixels"):
        prepare_picture(png_declaring(width, height))


@pytest.mark.parametrize(("width", "height"), [(303, 3), (2, 201), (1, 25_000_000)])
def test_the_aspect_is_checked_before_decoding(
    width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_decode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(LimitReachedError, match="more than 100 times the other"):
        prepare_picture(png_declaring(width, height))


def png_declaring(width: int, height: int) -> bytes:
    content = png(1, 1)
    return content[:16] + width.to_bytes(4) + height.to_bytes(4) + content[24:]


def test_bytes_are_counted_before_anything(tmp_path: Path) -> None:
    path = tmp_path / "long.png"
    path.write_bytes(encoded(draw()) + bytes(decoding.MAX_BYTES))
    with pytest.raises(LimitReachedError, match="more than 10 MB"):
        prepare_picture(path)


def test_a_large_picture_within_the_limits() -> None:
    assert prepare_picture(encoded(draw(size=(5000, 5000), height=3000))).max() == 255


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


def test_a_picture_without_pixels_is_described_without_pythons_names():
    with pytest.raises(UnreadableInputError, match="damaged PNG") as caught:
        prepare_picture(png(0, 0))
    assert "<" not in caught.value.message


def test_a_palette_picture_without_its_palette() -> None:
    with pytest.raises(UnreadableInputError, match="damaged PNG"):
        prepare_picture(png(40, 30, colour=PALETTE))


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


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=80))
def test_a_damaged_exif_block_does_not_matter(exif: bytes) -> None:
    content = encoded(SMALL, "JPEG", exif=b"Exif\0\0II*\0" + exif)
    assert prepare_picture(content).max() == 255
