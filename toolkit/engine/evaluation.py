"""How well a network does on labelled images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.data import Dataset
from toolkit.engine.network import Network
from toolkit.errors import IncompatibleModelsError, UsageError
from toolkit.vocabulary import Convention, Progress, SilentProgress

_STEP = 1024  # images between two signs of progress
_NORMAL_95 = 1.959963984540054  # 97.5 % quantile of the normal distribution
_LEAST_PROBABILITY = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was counted on labelled images.

    Attributes:
        images: How many were looked at.
        accuracy: Share that the network got right, 0 to 1.
        low: Lower end of the accuracy's 95 % Wilson interval.
        high: Upper end of it.
        log_loss: Mean negative natural logarithm of the right class's probability, which counts
            as no less than the smallest step of a float32 (1.2e-7).
        confusion: (classes, classes) int64: rows are the true classes, columns the network's
            answers, both in the order of its outputs.
    """

    images: int
    accuracy: float
    low: float
    high: float
    log_loss: float
    confusion: NDArray[np.int64]

    @property
    def images_per_class(self) -> NDArray[np.int64]:
        """(classes,) How many images each class has."""
        counts: NDArray[np.int64] = self.confusion.sum(axis=1)
        return counts

    @property
    def recall(self) -> NDArray[np.float64]:
        """(classes,) Share of each class's images that the network got right; NaN without images."""
        return _ratio(self.confusion.diagonal(), self.confusion.sum(axis=1))

    @property
    def precision(self) -> NDArray[np.float64]:
        """(classes,) Share of each answer that was right; NaN for answers that were never given."""
        return _ratio(self.confusion.diagonal(), self.confusion.sum(axis=0))


def evaluate(
    network: Network,
    dataset: Dataset,
    convention: Convention | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Count what a network gets right.

    Images are read some at a time, so a memory-mapped data set need not fit in memory. Where the
    network's card names its classes, labels are matched by character; where it does not, by number.

    Args:
        network: Knows how many classes it tells apart.
        dataset: With one image or more.
        convention: How the network wants its pixels; by default what its card says.
        progress: Told of images done and the accuracy so far.

    Raises:
        IncompatibleModelsError: If the network cannot know some class that occurs.
        UnsupportedError: If the network does not take single glyphs of 28×28.
        UsageError: If the data set is empty.
    """
    total = len(dataset)
    if total == 0:
        raise UsageError(f"data set {dataset.name} holds no image", hint="choose another split or data set")
    outputs = _outputs_by_label(network, dataset)
    told = progress or SilentProgress()
    confusion = np.zeros((network.classes, network.classes), dtype=np.int64)
    loss = 0.0
    right = 0
    told.begin(f"evaluating {network.name}", total, "images")
    for start in range(0, total, _STEP):
        part = slice(start, min(start + _STEP, total))
        truth = outputs[dataset.labels[part]]
        probabilities = network.probabilities(dataset.images[part], convention)
        answers = probabilities.argmax(axis=1)
        np.add.at(confusion, (truth, answers), 1)
        of_truth = probabilities[np.arange(len(truth)), truth].astype(np.float64)
        loss -= float(np.log(np.clip(of_truth, _LEAST_PROBABILITY, 1.0)).sum())
        right += int((answers == truth).sum())
        told.advance(part.stop, f"accuracy {100 * right / part.stop:.2f} %")
    told.end()
    low, high = wilson_interval(right, total)
    return Evaluation(total, right / total, low, high, loss / total, confusion)


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """95 % confidence interval of a share (Wilson 1927, without continuity correction).

    Args:
        right: Number of successes, 0 to ``total``.
        total: Number of trials, 1 or above.

    Returns:
        Lower and upper end, within 0 and 1.
    """
    share = right / total
    spread = _NORMAL_95**2 / total
    middle = share + spread / 2
    reach = _NORMAL_95 * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    low, high = (middle - reach) / (1 + spread), (middle + reach) / (1 + spread)
    return (0.0 if right == 0 else max(low, 0.0)), (1.0 if right == total else min(high, 1.0))


def _outputs_by_label(network: Network, dataset: Dataset) -> NDArray[np.int64]:
    """(classes of the data set,) The network's output for each label; -1 where none occurs or fits."""
    present = np.unique(np.asarray(dataset.labels))
    if present[0] < 0 or present[-1] >= len(dataset.classes):
        raise UsageError(f"data set {dataset.name} has labels outside its {len(dataset.classes)} classes")
    if not network.labels:
        if len(dataset.classes) != network.classes:
            raise IncompatibleModelsError(
                f"{network.name} has {network.classes} outputs and no card that names them; "
                f"data set {dataset.name} has {len(dataset.classes)} classes",
                hint="evaluate on the data set it was trained on, or put its card beside it",
            )
        return np.arange(network.classes, dtype=np.int64)
    place = {character: index for index, character in enumerate(network.labels)}
    unknown = [dataset.classes[label] for label in present if dataset.classes[label] not in place]
    if unknown:
        raise IncompatibleModelsError(
            f"{network.name} does not know {len(unknown)} of the classes in data set {dataset.name}: "
            + ", ".join(unknown[:10])
            + (", …" if len(unknown) > 10 else ""),
            hint="evaluate on a data set whose classes the model knows",
        )
    return np.asarray([place.get(character, -1) for character in dataset.classes], dtype=np.int64)


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    shares = np.full(len(whole), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
