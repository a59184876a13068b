"""The request of ``toolkit models compare``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toolkit.options import option


@dataclass(frozen=True)
class CompareModels:
    """Compare every two of several models, without running them."""

    models: tuple[Path, ...] = option((), help="two or more model files")
