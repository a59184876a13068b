"""Where the user's files live."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder with ``models/``, ``datasets/`` and ``runs/`` in it; none of them need exist.

    Attributes:
        root: The folder.
    """

    root: Path

    @property
    def models(self) -> Path:
        """Trained and merged models, with their cards and reports."""
        return self.root / "models"

    @property
    def datasets(self) -> Path:
        """What the user puts there, and what is downloaded."""
        return self.root / "datasets"

    @property
    def runs(self) -> Path:
        """One folder for each training."""
        return self.root / "runs"

    @property
    def cache(self) -> Path:
        """What can be made again; safe to delete."""
        return self.root / ".toolkit" / "cache"

    @property
    def dataset_folders(self) -> tuple[Path, ...]:
        """Where data sets are looked for; the first folder that has one wins."""
        return (self.datasets, self.root / "data", self.root)
