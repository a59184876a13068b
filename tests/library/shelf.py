"""A loader that counts how often it loads, and its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from toolkit.data import Dataset
from toolkit.declarations import DatasetLoader, DatasetSource, LoadRequest
from toolkit.errors import UnreadableInputError

NAMES = ("byclass", "digits")


class Shelf:
    """A loader whose data sets are one .npy file each; counts how often it loads."""

    def __init__(self) -> None:
        self.loads = 0
        self.declared = DatasetLoader(name="shelf", summary="For tests.", detect=self.detect, load=self.load)

    def detect(self, folder: Path) -> list[DatasetSource]:
        return [
            DatasetSource(
                path.stem,
                "shelf",
                "a test's",
                {"train": path, "test-file": path},
                rank=NAMES.index(path.stem),
            )
            for path in sorted(folder.glob("*.npy"))
        ]

    def load(self, request: LoadRequest) -> Dataset:
        self.loads += 1
        try:
            images = np.load(request.source.files["train"])
        except ValueError as error:
            raise UnreadableInputError(f"{request.source.name}: {error}") from error
        labels = (np.arange(len(images)) % 3).astype(np.int32)
        return Dataset(request.source.name, ("a", "b", "ß"), images, labels)


def put(path: Path, count: int = 500, seed: int = 0) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    np.save(path, np.random.default_rng(seed).integers(0, 256, (count, 28, 28)).astype(np.uint8))


def entries(root: Path) -> list[Path]:
    return sorted((root / ".toolkit/cache/datasets").glob("shelf-*"))
