"""The requests of ``toolkit models``."""

from pathlib import Path

from toolkit.options import option
from toolkit.records import dataclass


@dataclass(frozen=True)
class FindModels:
    """List model files with what is known of them."""

    folders: tuple[Path, ...] = option((), help="folders to search; by default models/")


@dataclass(frozen=True)
class ShowModel:
    """Show one model's card, layers and tensors."""

    model: Path = option(help="model file")
    arch: str | None = option(
        None, help="architecture of files with weights only: a name, its JSON file, or a model file"
    )


@dataclass(frozen=True)
class VerifyModels:
    """Compare files and weights with the digests in their cards."""

    models: tuple[Path, ...] = option((), help="model files; by default those in models/")
