"""Pictures of a character, and how much two images differ."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

# Two forms of the same picture may differ by this much, of 255, in the mean.
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


def transparent(colour: tuple[int, int, int]) -> Image.Image:
    shape = draw(ink=255, paper=0)
    image = Image.new("RGBA", shape.size, (*colour, 0))
    image.putalpha(shape)
    return image
