"""What a network gets right, image by image, and whether two networks really differ."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.data import Dataset
from toolkit.model import Model
from toolkit.vocabulary import Convention, SplitName

_STEP = 2048  # images read at a time
_LEAST_PROBABILITY = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, slots=True)
class Score:
    """How well one network does on one split.

    Attributes:
        split: ``validation`` or ``test``.
        images: How many were looked at.
        accuracy: 0 to 1.
        low: Lower end of the accuracy's 95 % Wilson interval.
        high: Upper end of it.
        log_loss: Mean negative natural logarithm of the right class's probability.
    """

    split: SplitName
    images: int
    accuracy: float
    low: float
    high: float
    log_loss: float


@dataclass(frozen=True, slots=True)
class Answers:
    """A score, and which images it came from.

    Attributes:
        score: The figures.
        right: (n,) bool: whether the network got each image right.
    """

    score: Score
    right: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two networks on the same images (McNemar 1947, exact two-sided test).

    Attributes:
        gained: Images that the new network gets right and the other one does not.
        lost: Images that the other one gets right and the new one does not.
        p_value: How often chance alone makes a difference at least as large, 0 to 1.
    """

    gained: int
    lost: int
    p_value: float


def answers(model: Model, dataset: Dataset, split: SplitName, convention: Convention | None) -> Answers:
    """Run a network on labelled images.

    Args:
        model: Its outputs stand in the order of the data set's classes.
        dataset: One image or more; read some at a time.
        split: Which part that is.
        convention: How the network wants its pixels; by default what its card says.
    """
    from toolkit.engine import Network, usable_processors, wilson_interval

    network = Network.of(model, threads=usable_processors())
    right = np.empty(len(dataset), dtype=np.bool_)
    loss = 0.0
    for start in range(0, len(dataset), _STEP):
        part = slice(start, min(start + _STEP, len(dataset)))
        truth = np.asarray(dataset.labels[part])
        probabilities = network.probabilities(np.asarray(dataset.images[part]), convention)
        right[part] = probabilities.argmax(axis=1) == truth
        of_truth = probabilities[np.arange(len(truth)), truth].astype(np.float64)
        loss -= float(np.log(np.clip(of_truth, _LEAST_PROBABILITY, 1.0)).sum())
    total, correct = len(dataset), int(right.sum())
    low, high = wilson_interval(correct, total)
    return Answers(Score(split, total, correct / total, low, high, loss / total), right)


def compare(new: Answers, old: Answers) -> Comparison:
    """Compare two networks on the images that both of them saw."""
    gained = int(np.count_nonzero(new.right & ~old.right))
    lost = int(np.count_nonzero(old.right & ~new.right))
    return Comparison(gained, lost, mcnemar(gained, lost))


def mcnemar(gained: int, lost: int) -> float:
    """The exact two-sided p-value of McNemar's test.

    Args:
        gained: Images that only the one network gets right, 0 or above.
        lost: Images that only the other one gets right, 0 or above.

    Returns:
        The probability of a split at least as uneven as this one, were both equally good.
    """
    total, fewer = gained + lost, min(gained, lost)
    if total == 0:
        return 1.0
    log_all = math.lgamma(total + 1) - total * math.log(2.0)
    tail = math.fsum(
        math.exp(log_all - math.lgamma(k + 1) - math.lgamma(total - k + 1)) for k in range(fewer + 1)
    )
    return min(1.0, 2.0 * tail)
