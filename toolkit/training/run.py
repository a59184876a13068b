"""One training, from a request to a model file that was scored once on the test images."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import os
import sys
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from toolkit.data import Dataset
from toolkit.declarations import BuildRequest, RunEvent
from toolkit.errors import PlanRefusedError, UsageError
from toolkit.model import Card
from toolkit.model.saving import save_written
from toolkit.options import options_as_json
from toolkit.store import exclusive, publish_text
from toolkit.tensors import ArrayTensors, TensorRole, weights_digest
from toolkit.training.class_weights import class_weights
from toolkit.training.fitting import Fitting, Heard
from toolkit.training.folder import RunConfiguration, RunFolder
from toolkit.training.framework import make_deterministic
from toolkit.training.keras_bridge import keras_from_model, named_weights, save_keras
from toolkit.training.learner import Learner
from toolkit.training.listening import Audience
from toolkit.training.request import TrainedRun, TrainingRequest
from toolkit.version import __version__
from toolkit.vocabulary import Convention

if TYPE_CHECKING:
    from pathlib import Path

    import keras


def train(request: TrainingRequest) -> TrainedRun:
    """Train a network, or fine-tune one, in a run's folder.

    The folder always holds the network after the best epoch so far and a checkpoint of the last
    epoch done. A run that was killed goes on from there and ends with the same weights digest
    as one that was not. TensorFlow's determinism is switched on for the whole process.

    Args:
        request: What is to be trained, on what, and where.

    Returns:
        The run's figures and files.

    Raises:
        UsageError: If images or classes do not fit together.
        PlanRefusedError: If the folder's checkpoint is of another training.
        BusyError: If another process trains in the folder.
        DamagedFileError: If the checkpoint is damaged.
        UnsupportedError: If the network to fine-tune cannot be trained.
        ConfigurationError: If TensorFlow is not installed.
        StorageError: If the disk refuses.
    """
    check_request(request)
    folder = RunFolder(request.folder)
    audience = Audience(request.listeners, request.progress)
    done = 0

    def heard(event: RunEvent) -> None:
        nonlocal done
        done = event.epoch
        audience.tell(event)

    with exclusive(folder.checkpoint):
        configuration = _configuration(request)
        _settle_configuration(request, folder, configuration)
        epochs = request.options.epochs
        details = {**dataclasses.asdict(configuration), "run": folder.path.name}
        heard(RunEvent("started", folder.path, epochs=epochs, details=details))
        try:
            run = _train(request, folder, configuration, heard)
        except BaseException as error:
            reason = str(error) or type(error).__name__
            heard(RunEvent("failed", folder.path, epoch=done, epochs=epochs, details={"error": reason}))
            raise
        metrics = {"val_accuracy": run.validation_accuracy, "seconds": run.seconds}
        if run.test_accuracy is not None:
            metrics["test_accuracy"] = run.test_accuracy
        heard(RunEvent("finished", folder.path, epoch=len(run.records), epochs=epochs, metrics=metrics))
        return run


def _train(
    request: TrainingRequest, folder: RunFolder, configuration: RunConfiguration, heard: Heard
) -> TrainedRun:
    from toolkit.training.plots import confusion_csv, draw_confusion, draw_history

    make_deterministic(request.seed)
    network, convention, gives_logits = _network(request)
    learner = Learner(
        network,
        convention=convention,
        options=request.options,
        weights=class_weights(request.fit.labels, len(request.fit.classes), request.options.class_weighting),
        seed=request.seed,
        gives_logits=gives_logits,
    )

    def keep() -> str:
        return _save(network, folder.model, request, convention)

    fitting = Fitting(request, learner, folder, configuration.digest(), keep=keep, heard=heard)
    outcome = fitting.fit()

    learner.restore(outcome.best)
    digest = keep()
    judged = request.test if request.test is not None and len(request.test) else None
    scores = learner.evaluate(judged if judged is not None else request.validation)
    shown = judged if judged is not None else request.validation
    confusion = _confusion(shown, scores.predicted)
    where = f"{len(shown):,} {'test' if judged is not None else 'validation'} images"
    title = f"{network.name} on {request.fit.name}"
    history_plot = folder.history_plot(request.fit.name)
    draw_history(history_plot, outcome.records, best_epoch=outcome.best_epoch, title=title)
    draw_confusion(folder.confusion_plot, confusion, request.fit.classes, title=f"{title}, {where}")
    publish_text(folder.confusion_table, confusion_csv(confusion, request.fit.classes))
    records = outcome.records
    return TrainedRun(
        folder=folder.path,
        model=folder.model,
        weights_digest=digest,
        convention=convention,
        parameters=network.count_params(),
        records=records,
        best_epoch=outcome.best_epoch,
        stopped_early=len(records) < request.options.epochs,
        validation_accuracy=records[outcome.best_epoch - 1].val_accuracy,
        validation_images=len(request.validation),
        test_accuracy=None if judged is None else scores.accuracy,
        test_images=0 if judged is None else len(judged),
        history_plot=history_plot,
        confusion_plot=folder.confusion_plot,
        confusion_table=folder.confusion_table,
        seconds=sum(record.seconds for record in records),
        images_per_second=float(np.mean([record.images_per_second for record in records])),
    )


def check_request(request: TrainingRequest) -> None:
    """Look at whether images, classes and network fit together, before any work.

    Raises:
        UsageError: If they do not.
    """
    for split, dataset in (("fit", request.fit), ("validation", request.validation)):
        if not len(dataset):
            raise UsageError(
                f"data set {dataset.name} has no {split} images", hint="train on a data set with more images"
            )
    for split, other in (("validation", request.validation), ("test", request.test)):
        if other is not None and other.classes != request.fit.classes:
            raise UsageError(
                f"the {split} images have other classes than the fit images",
                hint="take all splits from one data set",
            )
    start = request.start_from
    if start is None:
        if request.architecture is None:
            raise UsageError("nothing to train", hint="name an architecture or a model to start from")
        return
    classes = request.fit.classes
    known = start.card.classes
    if (known and known != classes) or start.classes != len(classes):
        raise UsageError(
            f"{start.name} tells {start.classes} classes apart, "
            f"data set {request.fit.name} has {len(classes)}{' others' if known else ''}",
            hint="fine-tune on a data set with the model's classes in the model's order",
        )


def _configuration(request: TrainingRequest) -> RunConfiguration:
    start, architecture = request.start_from, request.architecture
    fine_tuning = start is not None
    return RunConfiguration(
        architecture="" if fine_tuning or architecture is None else architecture.name,
        architecture_options={} if fine_tuning else options_as_json(request.architecture_options),
        dataset=request.fit.name,
        fit_digest=_images_digest(request.fit),
        fit_images=len(request.fit),
        validation_digest=_images_digest(request.validation),
        validation_images=len(request.validation),
        classes=request.fit.classes,
        options=options_as_json(request.options),
        seed=request.seed,
        start_from="" if start is None else start.name,
        start_digest="" if start is None else weights_digest(start.tensors),
        convention=str(_convention(request)),
        versions=_versions(),
    )


def _settle_configuration(
    request: TrainingRequest, folder: RunFolder, configuration: RunConfiguration
) -> None:
    """Write what the run is, or make sure that a resumed one is what it was."""
    if not request.resume:
        # A checkpoint of an earlier training must not stand beside another configuration.
        folder.checkpoint.unlink(missing_ok=True)
    if not request.resume or not folder.configuration.exists():
        # A resumed run that lost it goes on: its checkpoint says of which configuration it is.
        folder.write_configuration(configuration)
        return
    before = folder.read_configuration()
    differing = before.differences(configuration)
    if differing:
        raise PlanRefusedError(
            f"{folder.path} was started with another {', '.join(differing)}",
            hint="resume with what is in its config.json, or start a new run",
        )
    if before.versions != configuration.versions:
        request.progress.note(
            "other versions or processors than at the start of the run: "
            "the weights will not be the same bit for bit"
        )


def _network(request: TrainingRequest) -> tuple[keras.Model, Convention, bool]:
    """The network to train, how it wants its pixels, and whether it gives logits."""
    start = request.start_from
    if start is not None:
        network = keras_from_model(start)
        return network, _convention(request), not start.build_graph().outputs_probabilities
    architecture = request.architecture
    if architecture is None:
        raise UsageError("nothing to train", hint="name an architecture or a model to start from")
    network = architecture.build(
        BuildRequest(
            classes=len(request.fit.classes), seed=request.seed, options=request.architecture_options
        )
    )
    return network, _convention(request), False


def _convention(request: TrainingRequest) -> Convention:
    if request.start_from is not None:
        return request.start_from.card.convention or Convention()
    return Convention() if request.architecture is None else request.architecture.convention


def _save(network: keras.Model, target: Path, request: TrainingRequest, convention: Convention) -> str:
    """Save the network with its card.

    Returns:
        Its weights digest.
    """

    def write(staging: Path) -> str:
        save_keras(network, staging)
        weights = {name: (weight.numpy(), TensorRole.OTHER) for name, weight in named_weights(network)}
        return weights_digest(ArrayTensors(weights))

    architecture, start = request.architecture, request.start_from
    card = Card(
        name=target.parent.name,
        classes=request.fit.classes,
        convention=convention,
        architecture=start.card.architecture if start else architecture.name if architecture else "",
        dataset=request.fit.name,
        made_by="fine-tune" if start else "train",
        seed=request.seed,
    )
    return save_written(target, card, write=write, read=request.model_format.read).weights_digest


def _images_digest(dataset: Dataset) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(dataset.labels, dtype="<i4").data)
    for start in range(0, len(dataset), 65_536):
        digest.update(np.ascontiguousarray(dataset.images[start : start + 65_536]).data)
    return digest.hexdigest()


def _confusion(dataset: Dataset, predicted: NDArray[np.int32]) -> NDArray[np.int64]:
    classes = len(dataset.classes)
    pairs = np.asarray(dataset.labels, dtype=np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def _versions() -> dict[str, str]:
    return {
        "toolkit": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "keras": importlib.metadata.version("keras"),
        "tensorflow": importlib.metadata.version("tensorflow"),
        # Sums are split among threads, and their order is in the last bits.
        "processors": os.environ.get("TF_NUM_INTRAOP_THREADS") or str(_processors()),
    }


def _processors() -> int:
    """How many this process may use; a container or `taskset` may leave it fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
