"""Images with labels and classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.records import dataclass


@dataclass(frozen=True)
class Dataset:
    """One part of a data set.

    Attributes:
        name: Of the data set: ``byclass``.
        classes: Character by label; includes those that do not occur.
        images: (n, 28, 28) uint8, upright, light ink on a dark ground; may be memory-mapped.
        labels: (n,) int32, each an index into ``classes``.
    """

    name: str
    classes: tuple[str, ...]
    images: NDArray[np.uint8]
    labels: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.labels)

    def problem(self) -> str:
        """What is wrong with its parts; empty if they are as described above."""
        images, labels, classes = self.images, self.labels, self.classes
        for name, array, dtype, shape in (
            ("images", images, np.uint8, (len(images), 28, 28)),
            ("labels", labels, np.int32, (len(images),)),
        ):
            if array.dtype != dtype or array.shape != shape:
                return f"{name} are {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}"
        if not len(labels):
            return "there are no images"
        if labels.min() < 0 or labels.max() >= len(classes):
            return f"labels are {labels.min()} to {labels.max()} for {len(classes)} classes"
        return ""

    def take(self, which: NDArray[Any]) -> Dataset:
        """The images at the given indices or under the given mask, copied into memory."""
        return Dataset(self.name, self.classes, self.images[which], self.labels[which])
