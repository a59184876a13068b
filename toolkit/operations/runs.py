"""Lists, shows and removes the runs of a workspace."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from toolkit.errors import BusyError, MissingInputError, ToolkitError, UsageError, did_you_mean
from toolkit.operations.resources import Resources
from toolkit.records import dataclass
from toolkit.requests.runs import ListRuns, RemoveRuns, ShowRun
from toolkit.store import exclusive
from toolkit.store.faults import storage_error
from toolkit.vocabulary import Progress

if TYPE_CHECKING:
    from toolkit.training.folder import RunRecord
    from toolkit.training.history import EpochRecord

State = Literal["running", "finished", "interrupted", "failed", "unreadable"]


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        state: ``interrupted`` and ``failed`` runs can be resumed; ``unreadable`` ones have damaged files.
        architecture: Empty when fine-tuning the model ``start_from``.
        epochs: Number of epochs done, of those ``planned``.
        validation_accuracy: Of the best epoch, 0 to 1; None before the first one is done.
    """

    name: str
    path: Path
    state: State
    created: str = ""
    dataset: str = ""
    architecture: str = ""
    start_from: str = ""
    epochs: int = 0
    planned: int = 0
    validation_accuracy: float | None = None
    error: str = ""


@dataclass(frozen=True)
class RunDetails:
    """One run with its record and its epochs."""

    run: Run
    record: RunRecord
    history: tuple[EpochRecord, ...]


def list_runs(toolkit: Resources, request: ListRuns, progress: Progress) -> tuple[Run, ...]:  # noqa: ARG001 - as all verbs
    """The runs of the workspace, oldest first; a damaged one has the state ``unreadable``."""
    return tuple(_summary(folder) for folder in run_folders(toolkit))


def show_run(toolkit: Resources, request: ShowRun, progress: Progress) -> RunDetails:  # noqa: ARG001 - as all verbs
    """One run with its record and its epochs."""
    from toolkit.training.folder import RunFolder
    from toolkit.training.history import read_history

    folder = RunFolder(find_run(toolkit, request.run))
    record, history = folder.read_record(), read_history(folder.history)
    return RunDetails(_summary(folder.path), record, history)


def remove_runs(toolkit: Resources, request: RemoveRuns, progress: Progress) -> tuple[str, ...]:  # noqa: ARG001 - as all verbs
    """Remove runs, all or none, and return their names; models in ``models/`` are kept."""
    folders = list(dict.fromkeys(find_run(toolkit, name) for name in request.runs))
    for folder in folders:
        if folder.is_symlink() or folder.resolve().parent != toolkit.workspace.runs.resolve():
            raise UsageError(
                f"{folder}: not a folder in {toolkit.workspace.runs}", hint="remove it by hand if it is yours"
            )
        if _is_running(folder):
            raise BusyError(f"{folder}: the run is in progress", hint="stop it first")
    for folder in folders:
        with exclusive(folder):
            try:
                shutil.rmtree(folder)
            except OSError as error:
                raise storage_error(error, folder, "could not be removed") from error
    return tuple(folder.name for folder in folders)


def run_folders(toolkit: Resources) -> Iterator[Path]:
    """The folders of all runs, oldest first."""
    runs = toolkit.workspace.runs
    for folder in sorted(runs.iterdir()) if runs.is_dir() else ():
        if not folder.is_symlink() and (folder / "run.json").is_file():
            yield folder


def find_run(toolkit: Resources, name: str, *, unfinished: bool = False) -> Path:
    """The folder of a run: a name, a path, or ``latest``, perhaps of those that can be resumed."""
    names = [folder.name for folder in run_folders(toolkit)]
    if name == "latest":
        for folder in reversed(list(run_folders(toolkit))):
            if not unfinished or _summary(folder).state in ("interrupted", "failed"):
                return folder
        raise MissingInputError(
            "there is no run to resume" if names else "there is no run", hint="see `toolkit runs list`"
        )
    for path in (Path(name), toolkit.workspace.runs / name) if name else ():
        # `.` has no name before it is resolved.
        folder = path if path.name else path.resolve()
        if (folder / "run.json").is_file():
            return folder
    latest = f"{did_you_mean(name, names)} the latest runs are {', '.join(names[-5:])}".lstrip()
    raise MissingInputError(
        f"{name or 'an empty name'}: no such run",
        hint=latest if names else "there is no run yet",
    )


def _summary(folder: Path) -> Run:
    from toolkit.training.folder import RunFolder
    from toolkit.training.history import read_history

    files = RunFolder(folder)
    try:
        record, history = files.read_record(), read_history(files.history)
    except ToolkitError as error:
        return Run(folder.name, folder, "unreadable", error=error.message)
    planned = record.options.get("epochs")
    open_state: State = "running" if record.state == "started" and _is_running(folder) else "interrupted"
    return Run(
        name=folder.name,
        path=folder,
        state=open_state if record.state == "started" else record.state,
        created=record.created,
        dataset=record.dataset,
        architecture=record.architecture,
        start_from=record.start_from,
        epochs=len(history),
        planned=planned if isinstance(planned, int) else 0,
        validation_accuracy=max((epoch.val_accuracy for epoch in history), default=None),
        error=record.error,
    )


def _is_running(folder: Path) -> bool:
    """Whether a process trains in the folder: it holds its lock."""
    try:
        with exclusive(folder):
            return False
    except BusyError:
        return True
