"""Evaluates models on a data set."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path

from toolkit.errors import MissingInputError, UsageError
from toolkit.operations.dataset_choice import choose_dataset
from toolkit.operations.open_model import described, open_model, stated_conventions
from toolkit.operations.resources import Resources
from toolkit.options import route_options
from toolkit.records import dataclass
from toolkit.requests.evaluate import Evaluate
from toolkit.store import publish_text
from toolkit.vocabulary import Progress, SplitName


@dataclass(frozen=True)
class EvaluatedModel:
    """Metrics of one model on one split, as :class:`toolkit.engine.Evaluation` has them.

    ``recall`` is by character, lowest first, without classes that have no images; ``assumed`` is what was
    assumed because the file has no card.
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
        UnreadableInputError: If a model returns NaN, or has no card and another number of classes.
        IncompatibleModelsError: If a class that occurs is unknown to a model.
        UsageError: If the CSV file exists, or a convention is for another model.
    """
    from toolkit.engine import Network, usable_processors
    from toolkit.engine import evaluate as run

    if not request.models:
        raise UsageError("no model", hint="name the models to evaluate")
    stated = stated_conventions(request.models, request.convention, request.conventions)
    if request.csv is not None and not request.csv.parent.is_dir():
        raise MissingInputError(f"{request.csv.parent}: no such folder", hint="create it, or choose another")
    if request.csv is not None and not request.force and os.path.lexists(request.csv):
        raise UsageError(f"{request.csv} exists", hint="choose another file, or replace it with --force")
    models = [open_model(toolkit, path, request.arch) for path in request.models]
    source = choose_dataset(toolkit, request.dataset, models[0], progress)
    options = route_options(request.options, {"loader": toolkit.data.loader_of(source).options})
    images = toolkit.data.open(source, request.split, options["loader"])
    evaluated = []
    for path, model, convention in zip(request.models, models, stated, strict=True):
        known, assumed = described(model, images.classes, convention, f"data set {images.name}")
        for assumption in assumed:
            progress.note(assumption)
        result = run(Network.of(known, threads=usable_processors()), images, progress=progress)
        shares = zip(known.card.classes, map(float, result.recall), strict=True)
        recall = sorted((item for item in shares if not math.isnan(item[1])), key=lambda item: item[1])
        figures = (result.images, result.accuracy, result.low, result.high, result.log_loss)
        evaluated.append(EvaluatedModel(path, images.name, request.split, *figures, dict(recall), assumed))
    if request.csv is not None:
        import pandas as pd

        from toolkit.training.history import csv_text

        rows = [dataclasses.asdict(item) | {"model": item.model.as_posix()} for item in evaluated]
        table = pd.DataFrame(rows).drop(columns=["recall", "assumed"])
        publish_text(request.csv, csv_text(table))
        progress.note(f"the table is in {request.csv}")
    return tuple(evaluated)
