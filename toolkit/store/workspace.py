"""The folders of a workspace."""

from __future__ import annotations

from pathlib import Path

from toolkit.records import dataclass

MERGED_MODEL = "emnist_model.h5"


@dataclass(frozen=True)
class Workspace:
    """A folder with ``models/``, ``datasets/`` and ``runs/``; none of them needs to exist."""

    root: Path

    @property
    def models(self) -> Path:
        """Trained and merged models, with their cards and reports."""
        return self.root / "models"

    @property
    def merged_model(self) -> Path:
        """The default output of a merge."""
        return self.models / MERGED_MODEL

    @property
    def datasets(self) -> Path:
        """The user's data sets, and downloaded ones."""
        return self.root / "datasets"

    @property
    def runs(self) -> Path:
        """One folder for each training."""
        return self.root / "runs"

    @property
    def cache(self) -> Path:
        """Caches; safe to delete."""
        return self.root / ".toolkit" / "cache"

    @property
    def dataset_folders(self) -> tuple[Path, ...]:
        """Where data sets are looked for; the first folder that has one wins."""
        return (self.datasets, self.root / "data", self.root)
