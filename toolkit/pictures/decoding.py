"""A picture file decoded into one grey page, within limits."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from toolkit.errors import LimitReachedError, UnreadableInputError
from toolkit.pictures.container import Container, read_container
from toolkit.store.opening import open_file
from toolkit.vocabulary import Ink

# Threads cost more than they save on small pictures, and servers bring their own.
cv2.setNumThreads(1)

MAX_BYTES = 10_000_000
MAX_PIXELS = 25_000_000
MAX_ASPECT = 100

# Enough for a character that covers a tenth of the page.
WORKING_SIDE = 512

# What Pillow raises on damaged files; an assertion fails if a palette is missing.
DECODING_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError),
    *(AssertionError, struct.error, zlib.error),
)

Page = NDArray[np.uint8]


def decode_page(source: Path | bytes, *, ink: Ink | None, name: str) -> Page:
    """Decode a PNG or JPEG picture of any mode into luminance.

    Transparent parts get the shade that contrasts with the ink: the opposite of ``ink`` if it is
    given, else the opposite of what is visible; holes in an opaque sheet get the sheet's shade.

    Returns:
        (height, width) uint8, 0 black to 255 white, upright; the longer side of a large picture is
        reduced to 512 to 1,023 pixels.
    """
    if isinstance(source, Path):
        with open_file(source) as file:
            source = file.read(MAX_BYTES + 1)
    if len(source) > MAX_BYTES:
        raise _too_large(name, f"more than {MAX_BYTES // 1_000_000} MB")
    container = read_container(source, name)
    width, height = container.size
    if width * height > MAX_PIXELS:
        raise _too_large(name, f"{width} x {height} pixels, more than {MAX_PIXELS // 1_000_000} million")
    if max(width, height) > MAX_ASPECT * max(min(width, height), 1):
        what = f"{width} x {height} pixels: one side is more than {MAX_ASPECT} times the other"
        raise _too_large(name, what)
    try:
        return _decode(container, ink)
    except DECODING_ERRORS as error:
        text = str(error).partition(" <_io.")[0]  # Pillow's name for bytes in memory
        reason = " ".join(text.split())[:120] or type(error).__name__
        raise UnreadableInputError(
            f"{name} is a damaged {container.format} picture: {reason}", hint="copy or save it again"
        ) from error


def _too_large(name: str, what: str) -> LimitReachedError:
    return LimitReachedError(f"{name} has {what}", hint="give a smaller picture, or crop it")


def _decode(container: Container, ink: Ink | None) -> Page:
    with Image.open(io.BytesIO(container.pixels), formats=[container.format]) as image:
        if image.size != container.size:
            raise ValueError(f"two sizes, {container.size} and {image.size}")
        # Lets the JPEG decoder skip what a smaller picture does not need; no effect on PNG.
        image.draft("L", (WORKING_SIDE, WORKING_SIDE))
        if image.mode.startswith("I"):
            grey = _reduced(Image.fromarray(cv2.convertScaleAbs(np.asarray(image), alpha=1 / 257)))
        elif image.has_transparency_data:
            grey = _on_a_ground(_reduced(image.convert("LA")), ink)
        else:
            grey = _reduced(image.convert("L"))
    grey.getexif()[0x0112] = container.orientation
    return np.asarray(ImageOps.exif_transpose(grey))


def _reduced(image: Image.Image) -> Image.Image:
    factor = max(image.size) // WORKING_SIDE
    return image.reduce(factor) if factor > 1 else image


def _on_a_ground(image: Image.Image, ink: Ink | None) -> Image.Image:
    grey, alpha = (np.asarray(band, np.float32) / 255 for band in image.split())
    visible = grey * alpha
    if ink is not None:
        ground = 0.0 if ink == "light" else 1.0
    elif (opaque := border(alpha)).mean() > 0.5:
        ground = float(border(visible).sum() / opaque.sum())
    else:
        ground = 0.0 if 2 * visible.sum() > alpha.sum() else 1.0
    return Image.fromarray(np.rint(255 * (visible + (1 - alpha) * ground)).astype(np.uint8))


def border(page: NDArray[Any]) -> NDArray[Any]:
    """The values within a fiftieth of the shorter side, at least one pixel, from the edge."""
    depth = max(1, min(page.shape) // 50)
    sides = (page[:depth], page[-depth:], page[depth:-depth, :depth], page[depth:-depth, -depth:])
    return np.concatenate([side.ravel() for side in sides])
