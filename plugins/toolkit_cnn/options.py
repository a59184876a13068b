"""The options of the architectures."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.options import option


@dataclass(frozen=True)
class CompactOptions:
    """Options of ``compact-cnn``."""

    width: int = option(
        32,
        help="channels of the first two convolutions; the others have two and four times as many",
        minimum=4,
        maximum=256,
    )
    features: int = option(128, help="units of the dense layer before the classes", minimum=8, maximum=4096)
    dropout: float = option(
        0.3, help="share of features dropped before the dense layers", minimum=0.0, maximum=0.9
    )


@dataclass(frozen=True)
class OriginalOptions:
    """Options of ``emnist-cnn``."""

    dropout_scale: float = option(
        1.0, help="factor for the dropout rates of 0.2 and 0.3", minimum=0.0, maximum=3.0
    )
