"""Evaluates models on a data set."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import UsageError
from toolkit.model import Model
from toolkit.operations.dataset_choice import choose_dataset
from toolkit.operations.opening import described, open_model
from toolkit.operations.resources import Resources
from toolkit.options import route_options
from toolkit.requests.evaluate import Evaluate
from toolkit.store import publish_text
from toolkit.vocabulary import Progress, SplitName

if TYPE_CHECKING:
    from toolkit.data import Dataset

_COLUMNS = ("model", "dataset", "split", "images", "accuracy", "low", "high", "log_loss")


@dataclass(frozen=True, slots=True)
class EvaluatedModel:
    """Metrics of one model on one split, as :class:`toolkit.engine.Evaluation` has them.

    Attributes:
        recall: By character, 0 to 1; lowest first, without classes that have no images.
        assumed: What was assumed because the file has no card.
    """

    model: Path
    dataset: str
    split: SplitName
    images: int
    accuracy: float
    low: float
    high: float
    log_loss: float
    recall: Mapping[str, float]
    assumed: tuple[str, ...]


def evaluate(toolkit: Resources, request: Evaluate, progress: Progress) -> tuple[EvaluatedModel, ...]:
    """Evaluate models on a data set in onnxruntime, and write the table as CSV if a file is given.

    Raises:
        MissingInputError: If a model or the data set cannot be found.
        UnreadableInputError: If a file is not a model, returns NaN, or has no card and another
            number of classes.
        IncompatibleModelsError: If a class that occurs is unknown to a model.
        UsageError: If the CSV file exists, or a convention is for another model.
    """
    conventions = {Path(name).as_posix(): value for name, value in request.conventions.items()}
    unknown = sorted(set(conventions) - {path.as_posix() for path in request.models})
    if unknown or not request.models:
        what = f"a convention is given for {unknown[0]}, which is not evaluated" if unknown else "no model"
        raise UsageError(what, hint="name the models as in the conventions")
    if request.csv is not None and not request.force and os.path.lexists(request.csv):
        raise UsageError(f"{request.csv} exists", hint="choose another file, or replace it with --force")
    models = [open_model(toolkit, path) for path in request.models]
    source = choose_dataset(toolkit, request.dataset, models[0], progress)
    options = route_options(request.options, {"loader": toolkit.data.loader_of(source).options})
    images = toolkit.data.open(source, request.split, options["loader"])
    evaluated = []
    for path, model in zip(request.models, models, strict=True):
        convention = conventions.get(path.as_posix(), request.convention)
        known, assumed = described(model, images.classes, convention, f"data set {images.name}")
        evaluated.append(_evaluated(path, known, images, request.split, assumed, progress))
    if request.csv is not None:
        publish_text(request.csv, _csv(evaluated))
    return tuple(evaluated)


def _evaluated(
    path: Path,
    model: Model,
    images: Dataset,
    split: SplitName,
    assumed: tuple[str, ...],
    progress: Progress,
) -> EvaluatedModel:
    from toolkit.engine import Network, usable_processors
    from toolkit.engine import evaluate as run

    result = run(Network.of(model, threads=usable_processors()), images, progress=progress)
    recall = {
        name: float(share)
        for name, share in zip(model.card.classes, result.recall, strict=True)
        if not math.isnan(share)
    }
    lowest_first = dict(sorted(recall.items(), key=lambda item: item[1]))
    figures = (result.images, result.accuracy, result.low, result.high, result.log_loss)
    return EvaluatedModel(path, images.name, split, *figures, lowest_first, assumed)


def _csv(evaluated: Sequence[EvaluatedModel]) -> str:
    import pandas as pd

    from toolkit.training.history import csv_text

    rows = [dataclasses.asdict(item) | {"model": item.model.as_posix()} for item in evaluated]
    return csv_text(pd.DataFrame(rows)[list(_COLUMNS)])
