"""From a picture of a character to the 28×28 image that networks read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def prepare_picture(
    source: Path | bytes, *, ink: Literal["auto", "light", "dark"] = "auto", name: str = ""
) -> NDArray[np.uint8]:
    """Turn a picture of one character into an image like EMNIST's own.

    Args:
        source: A PNG or JPEG file, or its content.
        ink: Light or dark strokes; ``auto`` compares the border with the rest.
        name: For errors; by default the path, or "the picture".

    Returns (28, 28) uint8, upright, light ink, its brightest pixel 255.
    """
    # Pillow and OpenCV take a quarter of a second to load; only pictures need them.
    from toolkit.pictures.decoding import decode_page
    from toolkit.pictures.fit import fit_ink
    from toolkit.pictures.ink import find_ink

    known = None if ink == "auto" else ink
    name = name or ("the picture" if isinstance(source, bytes) else str(source))
    return fit_ink(find_ink(decode_page(source, ink=known, name=name), ink=known, name=name))
