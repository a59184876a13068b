"""Evaluates models on a data set."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.declarations import DatasetSource
from toolkit.errors import MissingInputError, ToolkitError, UsageError
from toolkit.model import Model
from toolkit.operations.dataset_choice import choose_dataset
from toolkit.operations.open_model import described, open_model, stated_conventions
from toolkit.operations.resources import Resources
from toolkit.operations.understanding import doubt_of
from toolkit.options import route_options
from toolkit.records import dataclass
from toolkit.requests.evaluate import Evaluate
from toolkit.store import publish_text
from toolkit.vocabulary import Convention, Progress, SplitName

if TYPE_CHECKING:
    from toolkit.data import Dataset

_WELL_READ = 0.8  # no other input format is tried from this accuracy on


@dataclass(frozen=True)
class EvaluatedModel:
    """Metrics of one model on one split, as :class:`toolkit.engine.Evaluation` has them.

    Attributes:
        recall: By character, lowest first, without classes that have no images.
        assumed: What was assumed because the file has no card.
        doubt: Why the input format is in doubt, and what mends it; empty if the accuracy is plausible.
        error: Why the model was not evaluated, if it is one of several; the figures are NaN then.
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
    doubt: str = ""
    error: ToolkitError | None = None


def evaluate(toolkit: Resources, request: Evaluate, progress: Progress) -> tuple[EvaluatedModel, ...]:
    """Evaluate models on a data set in onnxruntime, and write the table as CSV if a file is given.

    Raises:
        UnreadableInputError: If a model returns NaN, or has no card and another number of classes.
        IncompatibleModelsError: If a class that occurs is unknown to a model.
        UsageError: If the CSV file exists, or a convention is for another model.
    """
    if not request.models:
        raise UsageError("no model", hint="name the models to evaluate")
    stated = stated_conventions(request.models, request.convention, request.conventions)
    if request.csv is not None and not request.csv.parent.is_dir():
        raise MissingInputError(f"{request.csv.parent}: no such folder", hint="create it, or choose another")
    if request.csv is not None and not request.force and os.path.lexists(request.csv):
        raise UsageError(f"{request.csv} exists", hint="choose another file, or replace it with --force")
    evaluated = []
    sources: dict[tuple[str, ...], DatasetSource] = {}
    for path, convention in zip(request.models, stated, strict=True):
        try:
            evaluated.append(_evaluated(toolkit, request, path, convention, sources, progress))
        except ToolkitError as error:
            if len(request.models) == 1:
                raise
            nothing = (math.nan, math.nan, math.nan, math.nan)
            evaluated.append(EvaluatedModel(path, "", request.split, 0, *nothing, {}, (), error=error))
    if request.csv is not None:
        import pandas as pd

        from toolkit.training.history import csv_text

        rows = [
            dataclasses.asdict(item) | {"model": item.model.as_posix()}
            for item in evaluated
            if not item.error
        ]
        table = pd.DataFrame(rows).drop(columns=["recall", "assumed", "doubt", "error"], errors="ignore")
        publish_text(request.csv, csv_text(table))
        progress.note(f"the table is in {request.csv}")
    return tuple(evaluated)


def _evaluated(
    toolkit: Resources,
    request: Evaluate,
    path: Path,
    convention: Convention | None,
    sources: dict[tuple[str, ...], DatasetSource],
    progress: Progress,
) -> EvaluatedModel:
    """One model on the data set named, or on one with its classes; ``sources`` has those chosen before."""
    from toolkit.engine import Network, usable_processors
    from toolkit.engine import evaluate as run

    model = open_model(toolkit, path, request.arch)
    kind = (model.card.dataset, str(model.classes), *model.card.classes)
    if kind not in sources:
        sources[kind] = choose_dataset(toolkit, request.dataset, model, progress)
    source = sources[kind]
    options = route_options(request.options, {"loader": toolkit.data.loader_of(source).options})
    images = toolkit.data.open(source, request.split, options["loader"])
    known, assumed = described(model, images.classes, convention, f"data set {images.name}")
    for assumption in assumed:
        progress.note(assumption)
    result = run(Network.of(known, threads=usable_processors()), images, progress=progress)
    shares = zip(known.card.classes, map(float, result.recall), strict=True)
    recall = sorted((item for item in shares if not math.isnan(item[1])), key=lambda item: item[1])
    figures = (result.images, result.accuracy, result.low, result.high, result.log_loss)
    doubt = _doubt(path, model, known, images) if result.accuracy < _WELL_READ else ""
    return EvaluatedModel(path, images.name, request.split, *figures, dict(recall), assumed, doubt)


def _doubt(path: Path, model: Model, known: Model, images: Dataset) -> str:
    from toolkit.engine.conventions import check_convention

    assert known.card.convention is not None  # described has completed the card
    order = ("",) * (model.classes - known.classes) + known.card.classes
    check = check_convention(
        model,
        images.images,
        images.labels,
        images.classes,
        known.card.convention,
        order=order,
        trusted=model.card.validation_accuracy is not None,
    )
    if check.untrained:
        return f"{path.name} reads no more than chance under any input format: it is untrained"
    return doubt_of(path.name, check, path.as_posix())
