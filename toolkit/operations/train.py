"""Trains a network on a data set, from names to a published model."""

from __future__ import annotations

import dataclasses
import re
import shlex
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.declarations import Architecture, DatasetSource, NoOptions
from toolkit.declared_options import fields_of
from toolkit.errors import (
    BusyError,
    MissingInputError,
    PluginError,
    StorageError,
    ToolkitError,
    UsageError,
    shown,
)
from toolkit.host.kinds import ARCHITECTURES, DATASET_LOADERS, MODEL_FORMATS, RUN_LISTENERS
from toolkit.model import Card
from toolkit.model.card_file import read_card
from toolkit.model.saving import check_output
from toolkit.operations.dataset_choice import choose_dataset
from toolkit.operations.open_model import described, open_model
from toolkit.operations.resources import Resources
from toolkit.operations.runs import find_run
from toolkit.operations.train_config import given_options, read_config, with_config, write_config
from toolkit.options import options_as_json, route_options
from toolkit.requests.train import Train
from toolkit.store.faults import storage_error
from toolkit.store.opening import real_path
from toolkit.vocabulary import Progress

if TYPE_CHECKING:
    from toolkit.training.folder import RunFolder
    from toolkit.training.task import TrainedModel, TrainingTask

__all__ = ["TrainedModel", "train"]


def train(toolkit: Resources, request: Train, progress: Progress) -> TrainedModel:
    """Train a network, fine-tune one, or resume a run as if it had not been interrupted.

    Raises:
        UsageError: If a field is not allowed, or the model exists and is not the default output.
        PlanRefusedError: If data or options are no longer those of the run, or training diverges.
        ConfigurationError: If TensorFlow is not installed.
    """
    from toolkit.training.folder import RunFolder
    from toolkit.training.run import train as run_training

    resumed = None
    if request.resume is None:
        _check(request := with_config(request))
    elif request == Train(resume=request.resume, force=request.force):
        resumed = RunFolder(find_run(toolkit, request.resume, unfinished=True))
        request = dataclasses.replace(read_config(resumed.request), force=request.force)
    else:
        raise UsageError("a run is resumed with its own settings", hint="give resume without other fields")
    resolved, task = _resolve(toolkit, request, progress, resumed)
    if resumed is None:
        # Only now: what cannot be trained leaves no run behind.
        folder = _new_folder(toolkit, resolved)
        write_config(RunFolder(folder).request, resolved, toolkit.workspace)
        task = dataclasses.replace(task, folder=folder)
    try:
        return run_training(task)
    except (KeyboardInterrupt, StorageError, BusyError):
        in_workspace = task.folder.parent == toolkit.workspace.runs
        run = task.folder.name if in_workspace else shlex.quote(str(task.folder))
        progress.note(f"resume with: toolkit train --resume {run}")
        raise


def _check(request: Train) -> None:
    """Check what needs no file."""
    if request.name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", request.name):
        raise UsageError(
            f"{shown(request.name)} is not a name for a model",
            hint="letters, digits, dots, dashes and underscores, at most 64; without suffix",
        )
    if request.from_model is not None and request.arch is not None:
        raise UsageError(
            "--from and --arch exclude each other", hint="a fine-tuned model keeps its architecture"
        )
    if request.convention is not None and request.from_model is None:
        raise UsageError("--convention needs --from", hint="an architecture has its own input format")


def _resolve(
    toolkit: Resources, request: Train, progress: Progress, resumed: RunFolder | None
) -> tuple[Train, TrainingTask]:
    """The request with every default resolved, and the training that it asks for."""
    from toolkit.training.framework import require_framework
    from toolkit.training.options import TrainingOptions
    from toolkit.training.run import check_task
    from toolkit.training.task import TrainingTask

    require_framework()
    given = given_options(request) | ({} if request.epochs is None else {"train.epochs": request.epochs})
    start = None if request.from_model is None else open_model(toolkit, request.from_model)
    architecture = None if start is not None else _architecture(toolkit, request.arch)
    owners: dict[str, type] = {"train": TrainingOptions}
    if architecture is not None:
        owners["arch"] = architecture.options
    try:
        source = choose_dataset(toolkit, request.dataset, start, progress)
    except ToolkitError:
        _check_options(toolkit, given, owners)  # what no data set would make right is reported first
        raise
    options = route_options(given, owners | {"loader": toolkit.data.loader_of(source).options})
    training = options["train"]
    rate = training.highest_rate(fine_tuning=start is not None)
    options["train"] = training = dataclasses.replace(training, learning_rate=rate)
    target = _target(toolkit, request, source, resumed)

    fit, test = toolkit.data.open(source, "fit", options["loader"]), None
    try:
        test = toolkit.data.open(source, "test", options["loader"])
    except MissingInputError as error:
        progress.note(f"without a test accuracy: {error.message}")
    if start is not None:
        start, assumed = described(start, fit.classes, request.convention, f"data set {source.name}")
        for sentence in assumed:
            progress.note(sentence)
    task = TrainingTask(
        architecture=architecture,
        fit=fit,
        validation=toolkit.data.open(source, "validation", options["loader"]),
        test=test,
        folder=toolkit.workspace.runs if resumed is None else resumed.path,
        model_format=toolkit.catalog.format_for(target),
        architecture_options=options.get("arch", NoOptions()),
        loader_options=options_as_json(options["loader"]),
        options=training,
        seed=request.seed or 0,
        resume=resumed is not None,
        start_from=start,
        target=target,
        results=toolkit.workspace.root,
        listeners=tuple(toolkit.catalog.all(RUN_LISTENERS).values()),
        progress=progress,
    )
    check_task(task)
    tables = {
        owner: {key: value for key, value in options_as_json(own).items() if value is not None}
        for owner, own in options.items()
    }
    tables["train"].pop("epochs")
    resolved = dataclasses.replace(
        request,
        dataset=_lasting_name(toolkit, request.dataset, source),
        arch=None if architecture is None else architecture.name,
        epochs=training.epochs,
        seed=task.seed,
        options={owner: table for owner, table in tables.items() if table},
    )
    return resolved, task


def _check_options(toolkit: Resources, given: Mapping[str, Any], owners: Mapping[str, type]) -> None:
    """Refuse options that are wrong with every loader."""
    kinds = [loader.options for loader in toolkit.catalog.all(DATASET_LOADERS).values()] or [NoOptions]
    # The loader that has most of the options has the error that explains most.
    kinds.sort(key=lambda kind: -sum(key.removeprefix("loader.") in fields_of(kind) for key in given))
    errors = []
    for kind in kinds:
        try:
            route_options(given, {**owners, "loader": kind})
        except UsageError as error:
            errors.append(error)
        else:
            return
    raise errors[0]


def _lasting_name(toolkit: Resources, given: str | None, source: DatasetSource) -> str:
    """A name that finds the data set again, or the path that was given."""
    for name in (source.name, f"{source.loader}-{source.name}"):
        with suppress(ToolkitError):
            if toolkit.data.find(name) == source:
                return name
    # A path, which a file tells from a name by its slash.
    return f"./{given}" if given and "/" not in given else given or source.name


def _target(toolkit: Resources, request: Train, source: DatasetSource, resumed: RunFolder | None) -> Path:
    """The model file; one that exists is only replaced if it is the default output of this data set."""
    name = request.name or f"emnist_{source.name}_model"
    formats = toolkit.catalog.all(MODEL_FORMATS).values()
    for suffix in (suffix for model_format in formats for suffix in model_format.suffixes):
        if name.lower().endswith(suffix):
            raise UsageError(
                f"--name {name} ends with {suffix}, and the model's file would be {name}.h5",
                hint=f"give {name[: -len(suffix)]}; `toolkit export` writes other formats",
            )
    target = toolkit.workspace.models / f"{name}.h5"
    if request.from_model is not None and real_path(target) == real_path(request.from_model):
        raise UsageError(
            f"{target}: the fine-tuned model would replace the one it starts from", hint="give it a --name"
        )
    there = read_card(target) or Card()
    # A run may be interrupted after it published its model.
    own = Card() if resumed is None else read_card(resumed.model) or Card()
    published = bool(own.weights_digest) and own.weights_digest == there.weights_digest
    same_data = request.name is None and there.dataset in ("", source.name)
    check_output(target, is_default=published or same_data, force=request.force, option="--name")
    return target


def _architecture(toolkit: Resources, name: str | None) -> Architecture:
    if name is not None:
        return toolkit.catalog.get(ARCHITECTURES, name)
    known = toolkit.catalog.all(ARCHITECTURES).values()
    if not known:
        raise PluginError("no plugin has an architecture", hint="see toolkit plugins list")
    return min(known, key=lambda item: (item.rank, item.name))


def _new_folder(toolkit: Resources, request: Train) -> Path:
    """A new folder for a run: time, data set, architecture or model, seed."""
    what = request.from_model.stem if request.from_model is not None else request.arch
    label = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{Path(request.dataset or '').name}-{what}")[:120]
    name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{label}-{request.seed}"
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
    raise UsageError(f"{runs}: a thousand runs in one second", hint="clear the folder")
