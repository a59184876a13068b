"""Accuracy, loss and confusion of a network on labelled images."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from toolkit.data import Dataset
from toolkit.engine.network import Network
from toolkit.errors import IncompatibleModelsError, UsageError
from toolkit.records import dataclass
from toolkit.vocabulary import Convention, Progress, SilentProgress, percent

_STEP = 1024  # images between two progress updates
_NORMAL_95 = 1.959963984540054  # 97.5 % quantile of the normal distribution
_LEAST_PROBABILITY = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one network on labelled images.

    Attributes:
        accuracy: Share of correct predictions, 0 to 1; ``low`` and ``high`` are the ends of its
            95 % Wilson interval.
        log_loss: Mean negative natural logarithm of the true class's probability; probabilities
            are clipped at the smallest step of a float32 (1.2e-7).
        confusion: (classes, classes) int64: rows are true classes, columns predicted ones, both in
            the order of the network's outputs.
        right: (images,) bool: whether each image was predicted correctly, for paired tests.
    """

    images: int
    accuracy: float
    low: float
    high: float
    log_loss: float
    confusion: NDArray[np.int64]
    right: NDArray[np.bool_]

    @property
    def recall(self) -> NDArray[np.float64]:
        """(classes,) Share of each class's images that were predicted correctly; NaN without images."""
        images = self.confusion.sum(axis=1)
        shares = np.full(len(images), np.nan)
        np.divide(self.confusion.diagonal(), images, out=shares, where=images > 0)
        return shares


def evaluate(
    network: Network,
    dataset: Dataset,
    convention: Convention | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate a network on labelled images.

    Images are read in parts, so a memory-mapped data set need not fit in memory. Labels are matched
    with outputs by character, or by number if the network's card names no classes.

    Args:
        network: Any network for characters.
        dataset: One image or more.
        convention: The network's input format; by default that of its card.
        progress: Receives the number of images done and the accuracy so far.

    Raises:
        IncompatibleModelsError: If a class that occurs in the data set is unknown to the network.
        UnreadableInputError: If the network returns NaN or infinity.
        UnsupportedError: If the network does not take single characters of 28×28.
        UsageError: If the data set is empty.
    """
    total = len(dataset)
    if total == 0:
        raise UsageError(f"data set {dataset.name} has no images", hint="choose another split or data set")
    outputs = _outputs_by_label(network, dataset)
    progress = progress or SilentProgress()
    confusion = np.zeros((network.classes, network.classes), dtype=np.int64)
    right = np.empty(total, dtype=np.bool_)
    loss = 0.0
    progress.begin(f"evaluating {network.name}", total, "images")
    for start in range(0, total, _STEP):
        part = slice(start, min(start + _STEP, total))
        truth = outputs[dataset.labels[part]]
        probabilities = network.probabilities(dataset.images[part], convention)
        predicted = probabilities.argmax(axis=1)
        np.add.at(confusion, (truth, predicted), 1)
        right[part] = predicted == truth
        of_truth = probabilities[np.arange(len(truth)), truth].astype(np.float64)
        loss -= float(np.log(np.clip(of_truth, _LEAST_PROBABILITY, 1.0)).sum())
        progress.advance(part.stop, f"accuracy {percent(float(right[: part.stop].mean()))}")
    progress.end()
    correct = int(right.sum())
    low, high = wilson_interval(correct, total)
    return Evaluation(total, correct / total, low, high, loss / total, confusion, right)


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """95 % confidence interval of the share ``right / total`` (Wilson 1927, no continuity correction)."""
    share = right / total
    spread = _NORMAL_95**2 / total
    middle = share + spread / 2
    reach = _NORMAL_95 * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    low, high = (middle - reach) / (1 + spread), (middle + reach) / (1 + spread)
    return (0.0 if right == 0 else max(low, 0.0)), (1.0 if right == total else min(high, 1.0))


def _outputs_by_label(network: Network, dataset: Dataset) -> NDArray[np.int64]:
    """(classes of the data set,) The network's output for each label; -1 for a class without output."""
    present = np.unique(np.asarray(dataset.labels))
    if present[0] < 0 or present[-1] >= len(dataset.classes):
        raise UsageError(f"data set {dataset.name} has labels outside its {len(dataset.classes)} classes")
    if not network.labels:
        if len(dataset.classes) != network.classes:
            raise IncompatibleModelsError(
                f"{network.name} has {network.classes} outputs and no card with their classes; "
                f"data set {dataset.name} has {len(dataset.classes)} classes",
                hint="evaluate on the data set that it was trained on, or put its card beside it",
            )
        return np.arange(network.classes, dtype=np.int64)
    place = {character: index for index, character in enumerate(network.labels)}
    unknown = [dataset.classes[label] for label in present if dataset.classes[label] not in place]
    if unknown:
        raise IncompatibleModelsError(
            f"{network.name} does not know {len(unknown)} of the classes in data set {dataset.name}: "
            + ", ".join([*unknown[:10], *(["…"] if len(unknown) > 10 else [])]),
            hint="evaluate on a data set with the model's classes",
        )
    return np.asarray([place.get(character, -1) for character in dataset.classes], dtype=np.int64)
