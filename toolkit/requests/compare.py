"""The request of ``toolkit models compare``."""

from pathlib import Path

from toolkit.options import option
from toolkit.records import dataclass


@dataclass(frozen=True)
class CompareModels:
    """Compare every two of several models, without running them."""

    models: tuple[Path, ...] = option((), help="two or more model files")
    arch: str | None = option(
        None, help="architecture of files with weights only: a name, its JSON file, or a model file"
    )
