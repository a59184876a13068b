"""The options of the contributions, for ``-o key=value``."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.options import option


@dataclass(frozen=True)
class StripesOptions:
    """Options of the data set."""

    images: int = option(600, help="images in the train part; the test part has a third", minimum=40)
    noise: float = option(0.1, help="share of the ink that is noise", minimum=0.0, maximum=0.9)


@dataclass(frozen=True)
class TinyOptions:
    """Options of the architecture."""

    filters: int = option(8, help="filters of the convolution", minimum=1, maximum=256)


@dataclass(frozen=True)
class TrimmedMeanOptions:
    """Options of the strategy."""

    trim: int = option(1, help="how many of the lowest and of the highest values are left out", minimum=0)


@dataclass(frozen=True)
class WeightsTableOptions:
    """Options of the exporter."""

    digits: int = option(6, help="significant digits", minimum=1, maximum=17)
