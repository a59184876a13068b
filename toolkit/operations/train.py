"""Training a network on a data set, from the data's name to a model with its card."""

from __future__ import annotations

import dataclasses
import difflib
import re
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.declarations import Architecture, DatasetSource, NoOptions
from toolkit.errors import BusyError, MissingInputError, PluginError, StorageError, UsageError
from toolkit.host.kinds import ARCHITECTURES, MODEL_FORMATS, RUN_LISTENERS
from toolkit.model import Card, Model, Parent
from toolkit.model.saving import save_model
from toolkit.operations.opening import described, open_model
from toolkit.operations.toolkit import Toolkit
from toolkit.operations.train_order import ORDER_FILE, TrainOrder, read_order, write_order
from toolkit.options import describe_options, options_as_json, parse_options
from toolkit.store import exclusive, publish_bytes, publish_text
from toolkit.store.faults import storage_error
from toolkit.tensors import weights_digest
from toolkit.vocabulary import Progress

if TYPE_CHECKING:
    from toolkit.data import Dataset
    from toolkit.training import TrainedRun, TrainingOptions, TrainingRequest

__all__ = ["TrainOrder", "Trained", "resume", "train"]

_PATIENCE_S = 60.0  # for another who publishes under the same name
_UNFIT_FOR_A_FOLDER = re.compile(r"[^A-Za-z0-9._-]+")


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
    order.check()
    source = toolkit.data.find(order.dataset)
    if order.dataset is None:
        progress.note(f"data set {source.name}, {_why(toolkit)}: {source.summary}")
    plan = _plan(toolkit, order, source, progress)
    # Only now: what cannot be trained leaves no run behind.
    folder = _new_run(toolkit, plan)
    write_order(folder, order, source, toolkit.workspace)
    return _train(toolkit, plan, folder, progress, resume=False)


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
    folder = _run_folder(toolkit, run)
    order = read_order(folder)
    plan = _plan(toolkit, order, toolkit.data.find(order.dataset), progress)
    return _train(toolkit, plan, folder, progress, resume=True)


def _why(toolkit: Toolkit) -> str:
    """Why this data set was taken where none was named."""
    names = [source.name for source in toolkit.data.sources() if source.rank >= 0]
    if len(names) == 1:
        return "the only one here"
    return f"the first of {', '.join(names)}; --dataset names another"


@dataclass(frozen=True, slots=True)
class _Plan:
    """An order with everything found that it names.

    Attributes:
        request: All of it but the run's folder and whether it is resumed.
    """

    order: TrainOrder
    source: DatasetSource
    request: TrainingRequest
    target: Path
    write: Callable[[Model, Path], None]


def _plan(toolkit: Toolkit, order: TrainOrder, source: DatasetSource, progress: Progress) -> _Plan:
    from toolkit.training import TrainingRequest, check_request
    from toolkit.training.framework import require_framework

    require_framework()
    start = None if order.start_from is None else open_model(toolkit, order.start_from)
    architecture = None if start is not None else _architecture(toolkit, order.architecture)
    options, own_options = _options(order, architecture)
    target = _target(toolkit, order, source)
    if order.start_from is not None and target.resolve() == order.start_from.resolve():
        raise UsageError(
            f"{target}: the fine-tuned model would replace the one it starts from", hint="give it a --name"
        )
    model_format = toolkit.catalog.format_of(target)
    if model_format.write is None:
        raise PluginError(f"model format {model_format.name} does not write", hint="enable its plugin")
    request = TrainingRequest(
        architecture=architecture,
        fit=toolkit.data.open(source, "fit"),
        validation=toolkit.data.open(source, "validation"),
        test=_test_images(toolkit, source, progress),
        folder=toolkit.workspace.runs,
        model_format=model_format,
        architecture_options=own_options,
        options=options,
        seed=order.seed,
        start_from=start,
        listeners=tuple(toolkit.catalog.all(RUN_LISTENERS).values()),
        progress=progress,
    )
    check_request(request)
    if start is not None:
        known, assumed = described(start, request.fit.classes, order.convention, f"data set {source.name}")
        request = dataclasses.replace(request, start_from=known)
        for sentence in assumed:
            progress.note(sentence)
    return _Plan(order, source, request, target, model_format.write)


def _target(toolkit: Toolkit, order: TrainOrder, source: DatasetSource) -> Path:
    name = order.name or f"emnist_{source.name}_model"
    for model_format in toolkit.catalog.all(MODEL_FORMATS).values():
        for suffix in model_format.suffixes:
            if name.lower().endswith(suffix):
                raise UsageError(
                    f"--name {name} ends with {suffix}, and the model's file would be {name}.h5",
                    hint=f"give {name[: -len(suffix)]}; `toolkit export` writes other formats",
                )
    return toolkit.workspace.models / f"{name}.h5"


def _run_folder(toolkit: Toolkit, run: str) -> Path:
    runs = toolkit.workspace.runs
    for path in (Path(run), runs / run) if run else ():
        # A run that is named from within, as `.`, has its name all the same.
        folder = path if path.name else path.resolve()
        if (folder / ORDER_FILE).is_file():
            return folder
    names = sorted(path.parent.name for path in runs.glob(f"*/{ORDER_FILE}"))
    near = difflib.get_close_matches(run, names, n=1)
    guess = f"did you mean {near[0]}? " if near else ""
    raise MissingInputError(
        f"{run or 'an empty name'}: no such run",
        hint=f"{guess}the last ones are {', '.join(names[-5:])}" if names else "no run was started yet",
    )


def _new_run(toolkit: Toolkit, plan: _Plan) -> Path:
    start_from = plan.order.start_from
    what = start_from.stem if start_from is not None else plan.order.architecture or "default"
    label = _UNFIT_FOR_A_FOLDER.sub("-", f"{plan.source.name}-{what}")[:120]
    name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{label}-{plan.order.seed}"
    runs = toolkit.workspace.runs
    try:
        runs.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            folder = runs / (name if number == 1 else f"{name}-{number}")
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as error:
        raise storage_error(error, runs, "takes no new run") from error
    raise UsageError(f"{runs}: a thousand runs of one second", hint="clear the folder")


def _train(toolkit: Toolkit, plan: _Plan, folder: Path, progress: Progress, *, resume: bool) -> Trained:
    from toolkit.training import train as run_training

    request = dataclasses.replace(plan.request, folder=folder, resume=resume)
    classes = request.fit.classes
    with _resumable(toolkit, folder, progress, KeyboardInterrupt, StorageError):
        trained = run_training(request)
    with _resumable(toolkit, folder, progress, KeyboardInterrupt, StorageError, BusyError):
        card = _card(plan, classes, trained)
        _publish(plan, trained, card)
        mapping, plot = _leave_beside(toolkit, plan.source, classes, trained)
    return Trained(
        model=plan.target,
        run=folder,
        dataset=plan.source.name,
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


@contextmanager
def _resumable(
    toolkit: Toolkit, folder: Path, progress: Progress, *reasons: type[BaseException]
) -> Iterator[None]:
    """Say how to go on with a run that ends for one of these reasons, none of which lies in it."""
    try:
        yield
    except reasons:
        run = folder.name if folder.parent == toolkit.workspace.runs else shlex.quote(str(folder))
        progress.note(f"go on with: toolkit train --resume {run}")
        raise


def _publish(plan: _Plan, trained: TrainedRun, card: Card) -> None:
    target, model_format = plan.target, plan.request.model_format
    model = model_format.read(trained.model).with_card(card)
    with exclusive(target, wait_s=_PATIENCE_S):
        save_model(model, target, write=plan.write, read=model_format.read)


def _test_images(toolkit: Toolkit, source: DatasetSource, progress: Progress) -> Dataset | None:
    try:
        return toolkit.data.open(source, "test")
    except MissingInputError as error:
        progress.note(f"without a test accuracy: {error.message}")
        return None


def _architecture(toolkit: Toolkit, name: str | None) -> Architecture:
    if name is not None:
        return toolkit.catalog.get(ARCHITECTURES, name)
    known = toolkit.catalog.all(ARCHITECTURES)
    if not known:
        raise PluginError("no plugin brings an architecture", hint="see toolkit plugins list")
    return min(known.values(), key=lambda item: (item.rank, item.name))


def _options(order: TrainOrder, architecture: Architecture | None) -> tuple[TrainingOptions, Any]:
    """Give each ``key=value`` to the training or to the architecture, whichever has the key."""
    from toolkit.training import TrainingOptions

    def key(pair: str) -> str:
        return pair.partition("=")[0].strip().replace("-", "_")

    own_type = NoOptions if architecture is None else architecture.options
    own_keys = {item.name for item in describe_options(own_type)}
    own = tuple(pair for pair in order.options if key(pair) in own_keys)
    rest = tuple(pair for pair in order.options if pair not in own)
    if order.epochs is not None:
        rest = (*rest, f"epochs={order.epochs}")
    training = "the training"
    if own_keys and not {key(pair) for pair in rest} <= {
        item.name for item in describe_options(TrainingOptions)
    }:
        training += f" (and {', '.join(sorted(own_keys))} of the architecture)"
    owner = "" if architecture is None else f"architecture {architecture.name}"
    return parse_options(TrainingOptions, rest, owner=training), parse_options(own_type, own, owner=owner)


def _card(plan: _Plan, classes: Sequence[str], trained: TrainedRun) -> Card:
    start, architecture = plan.request.start_from, plan.request.architecture
    metrics = {
        "validation_accuracy": trained.validation_accuracy,
        "validation_images": float(trained.validation_images),
    }
    if trained.test_accuracy is not None:
        metrics |= {"test_accuracy": trained.test_accuracy, "test_images": float(trained.test_images)}
    parents = () if start is None else (Parent(start.name, weights_digest(start.tensors)),)
    return Card(
        name=plan.target.stem,
        classes=tuple(classes),
        convention=trained.convention,
        architecture=architecture.name
        if architecture is not None
        else start.card.architecture
        if start
        else "",
        dataset=plan.source.name,
        metrics=metrics,
        made_by="fine-tune" if parents else "train",
        parents=parents,
        settings=options_as_json(plan.request.options) | options_as_json(plan.request.architecture_options),
        seed=plan.order.seed,
        weights_digest=trained.weights_digest,
    )


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
