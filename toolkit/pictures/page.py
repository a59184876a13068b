"""A picture file decoded into one grey page, within limits."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from toolkit.errors import LimitReachedError, MissingInputError, UnreadableInputError
from toolkit.pictures.container import PictureContainer, read_container
from toolkit.vocabulary import Ink

MAX_BYTES = 10_000_000
MAX_PIXELS = 25_000_000

# A character keeps far more pixels than 28 at this side, and everything after is quick.
WORKING_SIDE = 768

BYTES_NAME = "the picture"

# What Pillow raises on bytes that are not what they claim to be.
DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    OverflowError,
    struct.error,
    zlib.error,
)

Page = NDArray[np.float32]

ORIENTATIONS: dict[int, Callable[[Page], NDArray[Any]]] = {
    2: lambda page: page[:, ::-1],
    3: lambda page: page[::-1, ::-1],
    4: lambda page: page[::-1],
    5: lambda page: page.T,
    6: lambda page: np.rot90(page, -1),
    7: lambda page: page[::-1, ::-1].T,
    8: lambda page: np.rot90(page),
}


def picture_name(source: Path | bytes) -> str:
    """What to call a picture in messages."""
    return BYTES_NAME if isinstance(source, bytes) else str(source)


def decode_page(source: Path | bytes, *, ink: Ink | None = None) -> Page:
    """Decode a PNG or JPEG picture of any mode into luminance.

    Transparent parts get the ground that the ink is meant to stand on: the opposite of ``ink``
    where it is given, else the opposite of what is visible; holes in an opaque sheet get the
    sheet's own shade.

    Args:
        source: A file, or its content.
        ink: Light or dark; None where it is not known.

    Returns:
        (height, width) float32, 0 black to 1 white, as a person sees it; the longer side of a
        large picture is reduced to 768 to 1,535 pixels.

    Raises:
        MissingInputError: No such file.
        LimitReachedError: More than 10 MB, or more than 25 megapixels.
        UnsupportedError: A picture in another format.
        UnreadableInputError: Not a picture, or a damaged one.
    """
    name = picture_name(source)
    content = source if isinstance(source, bytes) else _read_file(source)
    if len(content) > MAX_BYTES:
        raise LimitReachedError(
            f"{name} has more than {MAX_BYTES // 1_000_000} MB", hint="give a smaller picture, or crop it"
        )
    container = read_container(content, name)
    if container.width < 1 or container.height < 1:
        raise UnreadableInputError(
            f"{name} is a damaged {container.format} picture: it has no size", hint="save it again"
        )
    if container.width * container.height > MAX_PIXELS:
        raise LimitReachedError(
            f"{name} has {container.width} x {container.height} pixels, "
            f"more than {MAX_PIXELS // 1_000_000} million",
            hint="give a smaller picture, or crop it",
        )
    try:
        page = _decode(container, ink)
    except DECODING_ERRORS as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UnreadableInputError(
            f"{name} is a damaged {container.format} picture: {reason}", hint="copy or save it again"
        ) from error
    turn = ORIENTATIONS.get(container.orientation)
    return page if turn is None else np.ascontiguousarray(turn(page))


def _read_file(path: Path) -> bytes:
    if not path.exists():
        raise MissingInputError(f"there is no picture {path}", hint="give a PNG or JPEG file")
    # A pipe or a device could block for ever or never end.
    if not path.is_file():
        raise UnreadableInputError(f"{path} is not a file", hint="give a PNG or JPEG file")
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableInputError(
            f"{path} cannot be read: {error.strerror}", hint="check its permissions"
        ) from error


def _decode(container: PictureContainer, ink: Ink | None) -> Page:
    with Image.open(io.BytesIO(container.pixels), formats=[container.format]) as image:
        if image.size != (container.width, container.height):
            raise ValueError(
                f"two sizes, {container.width} x {container.height} and {image.width} x {image.height}"
            )
        # Lets the JPEG decoder skip what a smaller picture does not need; does nothing for PNG.
        image.draft("L", (WORKING_SIDE, WORKING_SIDE))
        if image.mode.startswith("I"):
            return _reduced_deep(np.asarray(image, np.float32) / 65535.0)
        if image.has_transparency_data:
            return _composed(_reduced(image.convert("RGBA").convert("RGBa")), ink)
        return np.asarray(_reduced(image.convert("L")), np.float32) / 255.0


def _reduced(image: Image.Image) -> Image.Image:
    factor = max(image.size) // WORKING_SIDE
    return image.reduce(factor) if factor > 1 else image


def _reduced_deep(page: Page) -> Page:
    """What :func:`_reduced` does, for 16 bits."""
    factor = max(page.shape) // WORKING_SIDE
    if factor < 2:
        return page
    padding = [(0, -side % factor) for side in page.shape]
    padded = np.pad(page, padding, mode="edge")
    rows, columns = padded.shape[0] // factor, padded.shape[1] // factor
    reduced: Page = padded.reshape(rows, factor, columns, factor).mean((1, 3), dtype=np.float32)
    return reduced


def _composed(image: Image.Image, ink: Ink | None) -> Page:
    """Lay a picture with premultiplied colours on a ground."""
    channels = np.asarray(image, np.float32) / 255.0
    weighted = channels[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
    alpha = channels[..., 3]
    return weighted + (1.0 - alpha) * np.float32(_ground(weighted, alpha, ink))


def _ground(weighted: Page, alpha: Page, ink: Ink | None) -> float:
    if ink is not None:
        return 0.0 if ink == "light" else 1.0
    edge = border(alpha)
    if edge.mean() > 0.5:
        return float(border(weighted).sum() / edge.sum())
    visible = float(alpha.sum())
    return 0.0 if visible > 0 and weighted.sum() / visible > 0.5 else 1.0


def border(page: Page) -> Page:
    """The values within a fiftieth of the shorter side, at least one pixel, from the edge."""
    depth = max(1, min(page.shape) // 50)
    sides = (page[:depth], page[-depth:], page[depth:-depth, :depth], page[depth:-depth, -depth:])
    return np.concatenate([side.ravel() for side in sides])
