"""Images of stripes in four directions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from toolkit.data import Dataset
from toolkit.types import DatasetSource, LoadRequest
from toolkit_good.options import StripesOptions

CLASSES = ("-", "|", "/", "\\")


def detect(folder: Path) -> Sequence[DatasetSource]:
    """Find the data set, in every folder."""
    # With a rank below 0 it is used only if the user names it.
    return (DatasetSource("stripes", "stripes", "28×28 stripes, 4 classes, computed", rank=-1),)


def load(request: LoadRequest) -> Dataset:
    """Draw one part of the data set; the same part is the same in every process."""
    options: StripesOptions = request.options
    number = options.images if request.part == "train" else options.images // 3
    random = np.random.default_rng([1 if request.part == "train" else 2, number])
    labels = np.resize(np.arange(len(CLASSES), dtype=np.int32), number)
    rows, columns = np.mgrid[0:28, 0:28].astype(np.float32)
    directions = (rows, columns, rows + columns, rows - columns)
    images = np.empty((number, 28, 28), dtype=np.uint8)
    for index, label in enumerate(labels):
        wave = np.sin(2 * np.pi * (directions[label] / random.uniform(5, 9) + random.random()))
        ink = (1 - options.noise) * (wave > 0) + options.noise * random.random((28, 28))
        images[index] = np.round(255 * ink)
    return Dataset("stripes", CLASSES, images, labels)
