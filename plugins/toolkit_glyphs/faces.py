"""The typefaces: those that matplotlib contains, and Pillow's own."""

from __future__ import annotations

import importlib.util
import string
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

from toolkit.errors import ConfigurationError
from toolkit.records import dataclass

# EMNIST's order in ByClass.
CHARACTERS = (*string.digits, *string.ascii_uppercase, *string.ascii_lowercase)

GRID = 64
BODY = 44  # longer side of a character on the grid; the rest is space for thicker strokes

NO_CHARACTER = "\U0010fffe"  # in no font: drawn as the sign for a missing glyph


@dataclass(frozen=True)
class Face:
    """One typeface, with the code points of its 0, A and a."""

    file: str  # in matplotlib's folder of fonts; empty for Pillow's own
    digits: int = ord("0")  # 0 if its digits are not used
    capitals: int = ord("A")
    small: int = ord("a")

    def character(self, label: int) -> str:
        """The character to draw for a class, empty if this face does not have it."""
        if label < 10:
            return chr(self.digits + label) if self.digits else ""
        return chr(self.capitals + label - 10) if label < 36 else chr(self.small + label - 36)


# Regular and slanted faces, because handwriting is rarely bold. The last three are alphabets among
# the mathematical signs of STIX. The digits of cmmi10 are old-style figures.
FACES = (
    *(Face(f"DejaVu{name}.ttf") for name in ("Sans", "Sans-Oblique", "SansMono", "SansMono-Oblique")),
    *(Face(f"{name}.ttf") for name in ("DejaVuSerif", "DejaVuSerif-Italic")),
    *(Face(f"{name}.ttf") for name in ("STIXGeneral", "STIXGeneralItalic")),
    *(Face(f"{name}.ttf") for name in ("cmr10", "cmss10", "cmti10", "cmtt10")),
    Face("cmmi10.ttf", digits=0),
    Face(""),
    Face("STIXGeneral.ttf", digits=0x1D7E2, capitals=0x1D5A0, small=0x1D5BA),
    Face("STIXGeneral.ttf", digits=0, capitals=0x1D608, small=0x1D622),
    Face("STIXGeneral.ttf", digits=0x1D7F6, capitals=0x1D670, small=0x1D68A),
)


def draw_characters() -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Draw every character in every face that has it, centred, its longer side ``BODY`` pixels.

    Yields the class and the coverage, (64, 64) float32, 0 to 1.
    """
    if not features.check("freetype2"):
        raise ConfigurationError(
            "characters cannot be drawn: Pillow was built without FreeType",
            hint="install Pillow's own wheel: pip install --force-reinstall pillow",
        )
    folder = _font_folder()
    for face in FACES:
        path = folder / face.file if folder and face.file else None
        if face.file and not (path and path.is_file()):
            continue
        font = _font(path, GRID)
        missing = _mask(font, NO_CHARACTER)
        for label in range(len(CHARACTERS)):
            character = face.character(label)
            drawn = _mask(font, character)
            if any(drawn[1]) and drawn != missing:
                yield label, _draw(path, character, font)


def _font_folder() -> Path | None:
    """Where matplotlib keeps its fonts, found without importing it; None if there is none."""
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"


def _font(path: Path | None, size: float) -> ImageFont.FreeTypeFont:
    if path is not None:
        return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _mask(font: ImageFont.FreeTypeFont, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)


def _draw(path: Path | None, character: str, measure: ImageFont.FreeTypeFont) -> NDArray[np.float32]:
    """A character at its size on the grid."""
    left, top, right, bottom = measure.getbbox(character)
    font = _font(path, GRID * BODY / max(right - left, bottom - top))
    left, top, right, bottom = font.getbbox(character)
    image = Image.new("L", (GRID, GRID), 0)
    place = ((GRID - left - right) / 2, (GRID - top - bottom) / 2)
    ImageDraw.Draw(image).text(place, character, font=font, fill=255)
    return np.asarray(image, np.float32) / np.float32(255)
