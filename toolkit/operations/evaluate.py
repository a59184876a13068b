"""Scoring models on a data set."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.declarations import DatasetSource
from toolkit.errors import MissingInputError
from toolkit.operations.opening import described, open_model
from toolkit.operations.toolkit import Toolkit
from toolkit.vocabulary import Convention, Progress, SplitName


@dataclass(frozen=True, slots=True)
class Score:
    """How well one model does.

    Attributes:
        model: Of the file.
        dataset: Name of the data set.
        split: ``test``, ``validation`` or ``fit``.
        images: How many were looked at.
        accuracy: 0 to 1.
        low: Lower end of the accuracy's 95 % interval.
        high: Upper end of it.
        log_loss: Mean negative logarithm of the right class's probability.
        weakest: The classes that are missed most: character and accuracy, 0 to 1.
        assumed: What the model's file does not say and was assumed.
    """

    model: Path
    dataset: str
    split: SplitName
    images: int
    accuracy: float
    low: float
    high: float
    log_loss: float
    weakest: tuple[tuple[str, float], ...]
    assumed: tuple[str, ...]


def evaluate(
    toolkit: Toolkit,
    paths: Sequence[Path],
    *,
    dataset: str | None,
    split: SplitName,
    progress: Progress,
    convention: Convention | None = None,
) -> tuple[Score, ...]:
    """Score models on a data set in onnxruntime.

    Args:
        toolkit: Where formats and data sets come from.
        paths: Of the model files.
        dataset: Name or path; None for the one that the first model was trained on, or the best
            that is found.
        split: Which part.
        progress: Told of images done.
        convention: How the models want their pixels, where their cards do not say or are wrong.

    Returns:
        One score a model, in the order given.

    Raises:
        MissingInputError: If a model or the data set is not there.
        UnreadableInputError: If a file is no model, or has no card and other classes.
        IncompatibleModelsError: If a model does not know a class that occurs.
    """
    from toolkit.engine import Network
    from toolkit.engine import evaluate as score

    models = [open_model(toolkit, path) for path in paths]
    images = toolkit.data.open(_source(toolkit, dataset, models[0].card.dataset), split)
    scores = []
    for path, model in zip(paths, models, strict=True):
        known, assumed = described(model, images.classes, convention, f"data set {images.name}")
        network = Network.of(known, threads=os.cpu_count() or 1)
        result = score(network, images, known.card.convention, progress)
        recall = [
            (name, float(share))
            for name, share in zip(known.card.classes, result.recall, strict=True)
            if not math.isnan(share)
        ]
        scores.append(
            Score(
                model=path,
                dataset=images.name,
                split=split,
                images=result.images,
                accuracy=result.accuracy,
                low=result.low,
                high=result.high,
                log_loss=result.log_loss,
                weakest=tuple(sorted(recall, key=lambda item: item[1])[:5]),
                assumed=assumed,
            )
        )
    return tuple(scores)


def _source(toolkit: Toolkit, wanted: str | None, trained_on: str) -> DatasetSource:
    if wanted is None and trained_on:
        with contextlib.suppress(MissingInputError):
            return toolkit.data.find(trained_on)
    return toolkit.data.find(wanted)
