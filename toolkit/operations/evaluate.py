"""Evaluates models on a data set."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path

from toolkit.errors import UsageError
from toolkit.operations.dataset_choice import choose_dataset
from toolkit.operations.open_model import described, open_model
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
    return tuple(evaluated)
