"""Training a network on a data set, from the data's name to a model with its card."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import MissingInputError, PluginError, ProofError, UnreadableInputError, UsageError
from toolkit.model import Card, Model, Parent, weights_digest
from toolkit.model.sidecar import publish_model
from toolkit.operations.context import Toolkit
from toolkit.operations.opening import open_model
from toolkit.options import describe_options, options_as_json, parse_options
from toolkit.store import exclusive, publish_bytes, publish_text
from toolkit.types import Architecture, DatasetSource, ModelFormat, NoOptions, Progress

if TYPE_CHECKING:
    from toolkit.data import Dataset
    from toolkit.training import TrainedRun, TrainingOptions

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ORDER = "order.json"


@dataclass(frozen=True, slots=True)
class TrainOrder:
    """What to train.

    Attributes:
        dataset: Name or path; None for the best that is found.
        architecture: Name; None for the default, or for the model that is fine-tuned.
        options: ``key=value`` for the training or for the architecture.
        epochs: 1 or above; None for the training's default.
        seed: 0 or above.
        start_from: A model file to fine-tune.
        name: Of the model file, without suffix; None for ``emnist_<data set>_model``.
    """

    dataset: str | None = None
    architecture: str | None = None
    options: tuple[str, ...] = ()
    epochs: int | None = None
    seed: int = 0
    start_from: Path | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """A training that is over.

    Attributes:
        model: The published model.
        run: The run's folder.
        dataset: Name of the data set.
        architecture: Name of the architecture; empty where a fine-tuning's ancestor has none.
        parameters: Number of float elements.
        epochs: Done.
        best_epoch: Whose weights were kept, from 1.
        validation_accuracy: 0 to 1.
        test_accuracy: 0 to 1; None for a data set without test images.
        test_images: Their number.
        images_per_second: While learning.
        seconds: Learning and evaluating.
        weights_digest: Of the model.
        mapping: The class mapping in the working directory.
        history_plot: The plot in the working directory.
        confusion_plot: The plot in the run's folder.
    """

    model: Path
    run: Path
    dataset: str
    architecture: str
    parameters: int
    epochs: int
    best_epoch: int
    validation_accuracy: float
    test_accuracy: float | None
    test_images: int
    images_per_second: float
    seconds: float
    weights_digest: str
    mapping: Path
    history_plot: Path
    confusion_plot: Path


def train(toolkit: Toolkit, order: TrainOrder, progress: Progress) -> Trained:
    """Train a network, or fine-tune one, and publish it with its card, mapping and plot.

    Raises:
        MissingInputError: If there is no data set, or no model to start from.
        UsageError: If an option cannot be used.
        ConfigurationError: If TensorFlow is not installed.
        StorageError: If the disk refuses.
    """
    _check(order)
    source = toolkit.data.find(order.dataset)
    if order.dataset is None:
        progress.note(f"data set {source.name}: {source.summary}; --dataset chooses another")
    folder = _new_run(toolkit, source, order)
    publish_text(
        folder / _ORDER, _order_to_json(dataclasses.replace(order, dataset=order.dataset or source.name))
    )
    return _train(toolkit, order, source, folder, progress, resume=False)


def resume(toolkit: Toolkit, run: str, progress: Progress) -> Trained:
    """Go on with a run that was interrupted, as if nothing had happened.

    Args:
        toolkit: The plugins and the folder.
        run: The run's folder, or its name under ``runs/``.
        progress: Told of images done.

    Raises:
        MissingInputError: If there is no such run.
        PlanRefusedError: If the data or the options are no longer those of the run.
    """
    folder = next(
        (path for path in (Path(run), toolkit.workspace.runs / run) if (path / _ORDER).is_file()), None
    )
    if folder is None:
        runs = sorted(path.parent.name for path in toolkit.workspace.runs.glob(f"*/{_ORDER}"))
        raise MissingInputError(
            f"{run}: no such run",
            hint=f"there are: {', '.join(runs[-5:])}" if runs else "no run was started yet",
        )
    order = _order_from_json(folder / _ORDER)
    return _train(toolkit, order, toolkit.data.find(order.dataset), folder, progress, resume=True)


def _check(order: TrainOrder) -> None:
    if order.seed < 0:
        raise UsageError(f"seed is {order.seed}", hint="give 0 or above")
    if order.name is not None and not _NAME.fullmatch(order.name):
        raise UsageError(
            f"{order.name!r} is no name for a model",
            hint="letters, digits, dots, dashes and underscores, 64 at most; the suffix comes by itself",
        )
    if order.start_from is not None and order.architecture is not None:
        raise UsageError(
            "--from and --arch exclude each other", hint="a fine-tuning keeps the architecture of its model"
        )


def _new_run(toolkit: Toolkit, source: DatasetSource, order: TrainOrder) -> Path:
    what = order.start_from.stem if order.start_from is not None else order.architecture or "default"
    name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{source.name}-{what}-{order.seed}"
    runs = toolkit.workspace.runs
    runs.mkdir(parents=True, exist_ok=True)
    for number in range(1, 1000):
        folder = runs / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise UsageError(f"{runs}: a thousand runs of one second", hint="clear the folder")


def _train(
    toolkit: Toolkit,
    order: TrainOrder,
    source: DatasetSource,
    folder: Path,
    progress: Progress,
    *,
    resume: bool,
) -> Trained:
    from toolkit.training import TrainingRequest
    from toolkit.training import train as run_training

    start = None if order.start_from is None else open_model(toolkit, order.start_from)
    architecture = None if start is not None else _architecture(toolkit, order.architecture)
    options, own_options = _options(order, architecture)
    target = toolkit.workspace.models / f"{order.name or f'emnist_{source.name}_model'}.h5"
    if order.start_from is not None and target.resolve() == order.start_from.resolve():
        raise UsageError(
            f"{target}: the fine-tuned model would replace the one it starts from", hint="give it a --name"
        )
    model_format = toolkit.catalog.format_of(target)
    fit, validation = toolkit.data.open(source, "fit"), toolkit.data.open(source, "validation")
    test = _test_images(toolkit, source, progress)
    request = TrainingRequest(
        architecture=architecture,
        fit=fit,
        validation=validation,
        test=test,
        folder=folder,
        model_format=model_format,
        architecture_options=own_options,
        options=options,
        seed=order.seed,
        resume=resume,
        start_from=start,
        listeners=tuple(toolkit.catalog.run_listeners().values()),
        progress=progress,
    )
    try:
        trained = run_training(request)
    except KeyboardInterrupt:
        progress.note(f"go on with: toolkit train --resume {folder.name}")
        raise
    model = model_format.read(trained.model)
    card = _card(order, source, fit.classes, trained, start, architecture, options, own_options, target)
    if model_format.write is None:
        raise PluginError(f"model format {model_format.name} does not write", hint="enable its plugin")
    writer = model_format.write
    target.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(target):
        publish_model(
            target,
            lambda staging: writer(model.with_card(card.embedded()), staging),
            card,
            verify=lambda staging: _prove(model_format, staging, target, trained.weights_digest),
        )
    mapping, plot = _leave_beside(toolkit, source, fit.classes, trained)
    return Trained(
        model=target,
        run=folder,
        dataset=source.name,
        architecture=card.architecture,
        parameters=trained.parameters,
        epochs=len(trained.records),
        best_epoch=trained.best_epoch,
        validation_accuracy=trained.validation_accuracy,
        test_accuracy=trained.test_accuracy,
        test_images=trained.test_images,
        images_per_second=trained.images_per_second,
        seconds=trained.seconds,
        weights_digest=trained.weights_digest,
        mapping=mapping,
        history_plot=plot,
        confusion_plot=trained.confusion_plot,
    )


def _test_images(toolkit: Toolkit, source: DatasetSource, progress: Progress) -> Dataset | None:
    try:
        return toolkit.data.open(source, "test")
    except MissingInputError as error:
        progress.note(f"without a test accuracy: {error.message}")
        return None


def _architecture(toolkit: Toolkit, name: str | None) -> Architecture:
    if name is not None:
        return toolkit.catalog.architecture(name)
    known = toolkit.catalog.architectures()
    if not known:
        raise PluginError("no plugin brings an architecture", hint="see toolkit plugins list")
    return min(known.values(), key=lambda item: (item.rank, item.name))


def _options(order: TrainOrder, architecture: Architecture | None) -> tuple[TrainingOptions, Any]:
    """Give each ``key=value`` to the training or to the architecture, whichever has the key."""
    from toolkit.training import TrainingOptions

    own_type = NoOptions if architecture is None else architecture.options
    own_keys = {item.name for item in describe_options(own_type)}
    own = tuple(pair for pair in order.options if pair.partition("=")[0].strip() in own_keys)
    rest = tuple(pair for pair in order.options if pair not in own)
    if order.epochs is not None:
        rest = (*rest, f"epochs={order.epochs}")
    training = "the training"
    if own_keys:
        training += f" (and {', '.join(sorted(own_keys))} of the architecture)"
    owner = "" if architecture is None else f"architecture {architecture.name}"
    return parse_options(TrainingOptions, rest, owner=training), parse_options(own_type, own, owner=owner)


def _card(
    order: TrainOrder,
    source: DatasetSource,
    classes: Sequence[str],
    trained: TrainedRun,
    start: Model | None,
    architecture: Architecture | None,
    options: TrainingOptions,
    own_options: Any,
    target: Path,
) -> Card:
    metrics = {
        "validation_accuracy": trained.validation_accuracy,
        "validation_images": float(trained.validation_images),
    }
    if trained.test_accuracy is not None:
        metrics |= {"test_accuracy": trained.test_accuracy, "test_images": float(trained.test_images)}
    parents = () if start is None else (Parent(start.name, weights_digest(start.tensors)),)
    return Card(
        name=target.stem,
        classes=tuple(classes),
        convention=trained.convention,
        architecture=architecture.name
        if architecture is not None
        else start.card.architecture
        if start
        else "",
        dataset=source.name,
        metrics=metrics,
        made_by="fine-tune" if parents else "train",
        parents=parents,
        settings=options_as_json(options) | options_as_json(own_options),
        seed=order.seed,
        weights_digest=trained.weights_digest,
    )


def _prove(model_format: ModelFormat, staging: Path, target: Path, digest: str) -> None:
    """Read back what was written; its weights must be those that were trained."""
    if weights_digest(model_format.read(staging).tensors) != digest:
        raise ProofError(f"{target} was not published: its weights read back differently", hint="try again")


def _leave_beside(
    toolkit: Toolkit, source: DatasetSource, classes: Sequence[str], trained: TrainedRun
) -> tuple[Path, Path]:
    """Publish the class mapping and the plot in the working directory, as they stand in the run's folder."""
    root = toolkit.workspace.root
    mapping = f"class_mapping_{source.name}.txt"
    for folder in (trained.folder, root):
        publish_text(folder / mapping, "".join(f"{index}: {name}\n" for index, name in enumerate(classes)))
    plot = root / trained.history_plot.name
    publish_bytes(plot, trained.history_plot.read_bytes())
    return root / mapping, plot


def _order_to_json(order: TrainOrder) -> str:
    document = dataclasses.asdict(order)
    document["start_from"] = None if order.start_from is None else order.start_from.as_posix()
    return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _order_from_json(path: Path) -> TrainOrder:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        start = data["start_from"]
        return TrainOrder(
            **{
                **data,
                "options": tuple(data["options"]),
                "start_from": None if start is None else Path(start),
            }
        )
    except (ValueError, TypeError, KeyError) as error:
        raise UnreadableInputError(f"{path}: not a run's order: {error}", hint="start a new run") from error
