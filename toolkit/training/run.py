"""One training, from a task to a published model."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit.data import Dataset
from toolkit.declarations import BuildRequest, RunEvent, RunListener
from toolkit.engine import usable_processors
from toolkit.errors import BusyError, PlanRefusedError, PluginError, StorageError, UsageError
from toolkit.model import Card, Parent
from toolkit.model.saving import save_model
from toolkit.options import options_as_json
from toolkit.store import exclusive, publish_bytes, publish_text
from toolkit.tensors import weights_digest
from toolkit.training.class_weights import class_weights
from toolkit.training.folder import RunFolder, RunRecord
from toolkit.training.framework import make_deterministic
from toolkit.training.history import csv_text
from toolkit.training.keras_bridge import keras_from_model, template_of
from toolkit.training.plots import draw_confusion, draw_history
from toolkit.training.task import TrainedModel, TrainingTask
from toolkit.training.train_state import TrainState
from toolkit.training.trainer import Trainer
from toolkit.version import __version__
from toolkit.vocabulary import Convention, Progress

if TYPE_CHECKING:
    from pathlib import Path

    import keras

_log = logging.getLogger(__name__)

_WAIT_S = 60.0  # for another process that publishes under the same name


def train(task: TrainingTask) -> TrainedModel:
    """Train a network, or fine-tune one, in a run's folder.

    At any moment the folder holds the network of the best epoch so far and a checkpoint of the last
    epoch done. A run that was killed and resumed ends with the same weights digest as one that was
    not. TensorFlow's determinism is switched on for the whole process.
    """
    check_task(task)
    rate = task.options.highest_rate(fine_tuning=task.start_from is not None)
    task = dataclasses.replace(task, options=dataclasses.replace(task.options, learning_rate=rate))
    folder, card, listeners = RunFolder(task.folder), _card(task), list(task.listeners)
    epochs, done = task.options.epochs, 0

    def notify(event: RunEvent) -> None:
        nonlocal done
        done = event.epoch
        notify_listeners(listeners, event, task.progress)

    with exclusive(folder.path):
        record = _open_run(task, folder, card)
        details = {**dataclasses.asdict(record), "run": folder.path.name}
        notify(RunEvent("started", folder.path, epochs=epochs, details=details))
        try:
            trained = _train(task, folder, record, card, notify)
        except BaseException as error:
            reason = str(error) or type(error).__name__
            if isinstance(error, Exception) and not isinstance(error, StorageError | BusyError):
                with suppress(StorageError):
                    folder.write_record(dataclasses.replace(record, state="failed", error=reason))
            notify(RunEvent("failed", folder.path, done, epochs, details={"error": reason}))
            raise
        metrics = {"val_accuracy": trained.validation_accuracy, "seconds": trained.seconds}
        if trained.test_accuracy is not None:
            metrics["test_accuracy"] = trained.test_accuracy
        notify(RunEvent("finished", folder.path, trained.epochs, epochs, metrics=metrics))
        return trained


def notify_listeners(listeners: list[RunListener], event: RunEvent, progress: Progress) -> None:
    """Call every listener; one that fails is removed from the list."""
    for listener in tuple(listeners):
        try:
            listener.hear(event)
        except Exception as error:  # noqa: BLE001 - third-party code may fail in any way
            listeners.remove(listener)
            progress.note(
                f"listener {listener.name} failed and is not called again in this run: "
                f"{type(error).__name__}: {error}"
            )
            _log.debug("listener %s failed", listener.name, exc_info=True)


def check_task(task: TrainingTask) -> None:
    """Check that images, classes, network and format match, before any work."""
    if task.model_format.write is None:
        raise PluginError(f"model format {task.model_format.name} cannot write", hint="enable its plugin")
    for split, dataset in (("fit", task.fit), ("validation", task.validation)):
        if not len(dataset):
            raise UsageError(
                f"data set {dataset.name} has no {split} images", hint="train on a data set with more images"
            )
    for split, other in (("validation", task.validation), ("test", task.test)):
        if other is not None and other.classes != task.fit.classes:
            raise UsageError(
                f"the {split} images have other classes than the fit images",
                hint="take all splits from one data set",
            )
    start = task.start_from
    if start is None:
        if task.architecture is None:
            raise UsageError("nothing to train", hint="name an architecture or a model to start from")
        return
    classes, known = task.fit.classes, start.card.classes
    if (known and known != classes) or start.classes != len(classes):
        raise UsageError(
            f"{start.name} has {start.classes} classes, "
            f"data set {task.fit.name} has {len(classes)}{' others' if known else ''}",
            hint="fine-tune on a data set with the model's classes in the model's order",
        )


def _train(
    task: TrainingTask, folder: RunFolder, record: RunRecord, card: Card, notify: Callable[[RunEvent], None]
) -> TrainedModel:
    write, classes = task.model_format.write, task.fit.classes
    assert write is not None
    make_deterministic(task.seed)
    network = _build(task)
    template = template_of(network, task.model_format).with_card(card)
    weights = class_weights(task.fit.labels, len(classes), task.options.class_weighting)
    state = TrainState(network, template, options=task.options, weights=weights, seed=task.seed)

    def save(path: Path, accuracy: float, **tested: float) -> Card:
        metrics = {"validation_images": float(len(task.validation)), "validation_accuracy": accuracy}
        model = state.model().with_card(dataclasses.replace(card, metrics=metrics | tested))
        return save_model(model, path, write=write, read=task.model_format.read)

    save_best = partial(save, folder.model)
    last = Trainer(task, state, folder, record.digest(), save_best, notify).train()
    state.restore(last.best)
    test = task.test if task.test is not None and len(task.test) else None
    evaluation = state.evaluate(test or task.validation)
    tested = {} if test is None else {"test_accuracy": evaluation.accuracy, "test_images": float(len(test))}
    saved = save(folder.model, last.best_accuracy, **tested)

    name = task.fit.name
    title = f"{network.name} on {name}"
    plot, mapping = folder.path / f"training_history_{name}.png", folder.path / f"class_mapping_{name}.txt"
    draw_history(plot, last.records, best_epoch=last.best_epoch, title=title)
    images = f"{evaluation.images:,} {'validation' if test is None else 'test'} images"
    draw_confusion(folder.confusion_plot, evaluation.confusion, classes, title=f"{title}, {images}")
    table = pd.DataFrame(evaluation.confusion, index=classes, columns=classes)
    publish_text(folder.confusion_table, csv_text(table, index="true \\ predicted"))
    publish_text(mapping, "".join(f"{index}: {name}\n" for index, name in enumerate(classes)))
    if task.results is not None:
        for file in (plot, mapping):
            publish_bytes(task.results / file.name, file.read_bytes())
        plot, mapping = task.results / plot.name, task.results / mapping.name
    if task.target is not None:
        with exclusive(task.target, wait_s=_WAIT_S):
            save(task.target, last.best_accuracy, **tested)
    folder.write_record(dataclasses.replace(record, state="finished", error=""))
    folder.checkpoint.unlink(missing_ok=True)
    return TrainedModel(
        model=task.target or folder.model,
        run=folder.path,
        dataset=name,
        architecture=card.architecture,
        parameters=network.count_params(),
        epochs=last.epochs,
        best_epoch=last.best_epoch,
        stopped_early=last.epochs < task.options.epochs,
        validation_accuracy=last.best_accuracy,
        validation_images=len(task.validation),
        test_accuracy=tested.get("test_accuracy"),
        test_images=0 if test is None else len(test),
        images_per_second=float(np.mean([record.images_per_second for record in last.records])),
        seconds=sum(record.seconds for record in last.records),
        weights_digest=saved.weights_digest,
        mapping=mapping,
        history_plot=plot,
        confusion_plot=folder.confusion_plot,
    )


def _open_run(task: TrainingTask, folder: RunFolder, card: Card) -> RunRecord:
    """Write the run's record, or check that a resumed run is the one that was started."""
    record = _record(task, card)
    if not task.resume:
        # A checkpoint of an earlier training must not remain with another record.
        folder.checkpoint.unlink(missing_ok=True)
    if not task.resume or not folder.record.exists():
        # A resumed run without its record is checked against the digest in its checkpoint.
        folder.write_record(record)
        return record
    before = folder.read_record()
    if before.state == "finished":
        raise UsageError(
            f"{folder.path} is finished", hint=f"train {folder.model} further with `toolkit train --from`"
        )
    differing = before.differences(record)
    if differing:
        raise PlanRefusedError(
            f"{folder.path} was started with another {', '.join(differing)}",
            hint=f"resume with what is in its {folder.record.name}, or start a new run",
        )
    if before.versions != record.versions:
        task.progress.note(
            "versions or processors differ from the start of the run: "
            "the weights will not be the same bit for bit"
        )
    resumed = dataclasses.replace(before, state="started", error="")
    folder.write_record(resumed)
    return resumed


def _record(task: TrainingTask, card: Card) -> RunRecord:
    start = card.parents[0] if card.parents else Parent("", "")
    return RunRecord(
        architecture="" if task.architecture is None else task.architecture.name,
        architecture_options=options_as_json(task.architecture_options),
        dataset=task.fit.name,
        fit_digest=_images_digest(task.fit),
        fit_images=len(task.fit),
        validation_digest=_images_digest(task.validation),
        validation_images=len(task.validation),
        classes=task.fit.classes,
        options=options_as_json(task.options),
        seed=task.seed,
        start_from=start.name,
        start_digest=start.digest,
        convention=str(card.convention),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={
            "toolkit": __version__,
            "python": ".".join(map(str, sys.version_info[:3])),
            "keras": importlib.metadata.version("keras"),
            "tensorflow": importlib.metadata.version("tensorflow"),
            # The order of sums depends on the number of threads, and the last bits on the order.
            "processors": os.environ.get("TF_NUM_INTRAOP_THREADS") or str(usable_processors()),
        },
    )


def _build(task: TrainingTask) -> keras.Model:
    if task.start_from is not None:
        return keras_from_model(task.start_from)
    assert task.architecture is not None
    return task.architecture.build(
        BuildRequest(classes=len(task.fit.classes), seed=task.seed, options=task.architecture_options)
    )


def _card(task: TrainingTask) -> Card:
    start, architecture = task.start_from, task.architecture
    if start is not None:
        known, convention = start.card.architecture, start.card.convention or Convention()
    else:
        assert architecture is not None
        known, convention = architecture.name, architecture.convention
    options = options_as_json(task.options) | options_as_json(task.architecture_options)
    return Card(
        name=task.folder.name if task.target is None else task.target.stem,
        classes=task.fit.classes,
        convention=convention,
        architecture=known,
        dataset=task.fit.name,
        made_by="train" if start is None else "fine-tune",
        parents=() if start is None else (Parent(start.name, weights_digest(start.tensors)),),
        settings=options | task.loader_options,
        seed=task.seed,
    )


def _images_digest(dataset: Dataset) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(dataset.labels, dtype="<i4").data)
    for start in range(0, len(dataset), 65_536):
        digest.update(np.ascontiguousarray(dataset.images[start : start + 65_536]).data)
    return digest.hexdigest()
