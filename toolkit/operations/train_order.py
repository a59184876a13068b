"""What a training is asked for, and how it stands in the run's folder."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from toolkit.declarations import DatasetSource
from toolkit.errors import UnreadableInputError, UsageError
from toolkit.store import Workspace, publish_text
from toolkit.vocabulary import Convention

ORDER_FILE = "order.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


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
        convention: How ``start_from`` wants its pixels; None for what its card says.
    """

    dataset: str | None = None
    architecture: str | None = None
    options: tuple[str, ...] = ()
    epochs: int | None = None
    seed: int = 0
    start_from: Path | None = None
    name: str | None = None
    convention: Convention | None = None

    def check(self) -> None:
        """Look at what can be seen without any file.

        Raises:
            UsageError: If something cannot be used.
        """
        if self.seed < 0:
            raise UsageError(f"seed is {self.seed}", hint="give 0 or above")
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise UsageError(
                f"{self.name!r} is no name for a model",
                hint="letters, digits, dots, dashes and underscores, 64 at most; the suffix comes by itself",
            )
        if self.start_from is not None and self.architecture is not None:
            raise UsageError(
                "--from and --arch exclude each other",
                hint="a fine-tuning keeps the architecture of its model",
            )
        if self.convention is not None and self.start_from is None:
            raise UsageError(
                "--convention goes with --from", hint="an architecture brings a convention of its own"
            )


def write_order(folder: Path, order: TrainOrder, source: DatasetSource, workspace: Workspace) -> None:
    """Publish an order in its run's folder, so that it is understood from any working directory.

    Paths inside the workspace are written as seen from the run's folder, so that the workspace
    may be moved; others are absolute.

    Args:
        folder: The run's.
        order: As it was given.
        source: The data set that was found for it.
        workspace: The run's.
    """
    document = dataclasses.asdict(order)
    name = order.dataset or source.name
    if name.lower() not in _names(source):
        name = _from_folder(Path(name), folder, workspace)
    document["dataset"] = name
    if order.start_from is not None:
        document["start_from"] = _from_folder(order.start_from, folder, workspace)
    text = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    publish_text(folder / ORDER_FILE, text)


def read_order(folder: Path) -> TrainOrder:
    """The order that a run was started with.

    Raises:
        UnreadableInputError: If the file is damaged.
    """
    path = folder / ORDER_FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        start, dataset, convention = data["start_from"], data["dataset"], data["convention"]
        order = TrainOrder(
            **{
                **data,
                # A name has no slash; a path has one, as it was written above.
                "dataset": _as_given(dataset, folder) if "/" in dataset else dataset,
                "options": tuple(data["options"]),
                "start_from": None if start is None else Path(_as_given(start, folder)),
                "convention": None if convention is None else Convention(**convention),
            }
        )
        order.check()
    except (ValueError, TypeError, KeyError, RecursionError, UsageError) as error:
        raise UnreadableInputError(f"{path}: not a run's order: {error}", hint="start a new run") from error
    return order


def _from_folder(path: Path, folder: Path, workspace: Workspace) -> str:
    absolute = os.path.abspath(path)  # noqa: PTH100 - Path.resolve would follow links
    if Path(absolute).is_relative_to(os.path.abspath(workspace.root)):  # noqa: PTH100
        return os.path.relpath(absolute, folder)
    return absolute


def _as_given(written: str, folder: Path) -> str:
    return os.path.relpath(folder / written) if not os.path.isabs(written) else written  # noqa: PTH117


def _names(source: DatasetSource) -> tuple[str, ...]:
    name = source.name.lower()
    return (name, f"{source.loader}-{name}".lower(), f"{source.loader}:{name}".lower())
