"""The train and the test part, drawn."""

from __future__ import annotations

from typing import Literal

from toolkit.data import Dataset
from toolkit.types import LoadRequest
from toolkit_glyphs.drawing import draw_glyphs
from toolkit_glyphs.faces import CHARACTERS
from toolkit_glyphs.fields import glyph_fields
from toolkit_glyphs.options import GlyphOptions

Part = Literal["train", "test"]


def load_part(request: LoadRequest) -> Dataset:
    """Draw the part that is asked for; about two seconds with the default options.

    Raises:
        ConfigurationError: Pillow without FreeType.
    """
    options = request.options if isinstance(request.options, GlyphOptions) else GlyphOptions()
    return draw_part(request.part, options, seed=options.seed)


def draw_part(part: Part, options: GlyphOptions, *, seed: int) -> Dataset:
    """Draw a part. Train and test draw other random numbers, and test has distortions of its own."""
    testing = part == "test"
    images, labels = draw_glyphs(
        glyph_fields(),
        options.test_per_class if testing else options.train_per_class,
        seed=seed,
        stream=int(testing),
        held_out=testing,
    )
    return Dataset("glyphs", CHARACTERS, images, labels)
