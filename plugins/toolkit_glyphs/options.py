"""What the drawn data set lets a user choose."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.options import option


@dataclass(frozen=True)
class GlyphOptions:
    """Options of ``glyphs``."""

    train_per_class: int = option(
        240, help="images of each character in the train part", minimum=1, maximum=10_000
    )
    test_per_class: int = option(
        60, help="images of each character in the test part", minimum=1, maximum=10_000
    )
    seed: int = option(0, help="another seed draws another data set", minimum=0)
