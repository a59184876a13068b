"""Any picture of one character made into what a network sees."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray


def prepare_picture(
    source: Path | bytes, *, ink: Literal["auto", "light", "dark"] = "auto"
) -> NDArray[np.uint8]:
    """Make a picture of one character into an image like EMNIST's own.

    Decoded, turned upright as EXIF says, freed from paper, shading and clutter, cropped to the
    ink, fitted into 24 x 24 with its aspect kept, as thick and as blurred as EMNIST's strokes
    are, its box in the middle.

    Args:
        source: A PNG or JPEG file, or its content; at most 10 MB and 25 megapixels.
        ink: Light or dark strokes; ``auto`` decides from the border against the rest.

    Returns:
        (28, 28) uint8, upright, light ink, its brightest pixel 255.

    Raises:
        MissingInputError: No such file.
        LimitReachedError: Too many bytes or pixels.
        UnsupportedError: A picture that is neither PNG nor JPEG.
        UnreadableInputError: Not a picture, a damaged one, or one without ink.
    """
    # Pillow is only needed here; every merge and every export would wait for it otherwise.
    from toolkit.pictures.fit import fit_ink
    from toolkit.pictures.ink import find_ink
    from toolkit.pictures.page import decode_page, picture_name

    known = None if ink == "auto" else ink
    page = decode_page(source, ink=known)
    return fit_ink(find_ink(page, ink=known, name=picture_name(source)))
