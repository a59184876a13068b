"""The verbs ``models find``, ``show`` and ``verify``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Any

from toolkit.errors import DamagedFileError, MissingInputError, ToolkitError, UnreadableInputError
from toolkit.host.kinds import MODEL_FORMATS
from toolkit.model import Card, Model
from toolkit.model import Layer as Layer  # a part of ModelDetails
from toolkit.model.card_file import card_path
from toolkit.model.heads import without_unused
from toolkit.operations.open_model import open_whole
from toolkit.operations.resources import Resources
from toolkit.records import dataclass
from toolkit.requests.models import FindModels, ShowModel, VerifyModels
from toolkit.store import FoundFile, find_files
from toolkit.store.opening import FileState, file_state
from toolkit.tensors import RecordedTensors, not_finite, weights_digest
from toolkit.vocabulary import Progress


def model_state(path: Path) -> tuple[FileState | None, FileState | None]:
    """What tells whether a model's file or its card was replaced; None for a file that is not there."""
    return file_state(path), file_state(card_path(path))


@dataclass(frozen=True, kw_only=True)
class FoundModel:
    """A model file in a list; its size is in bytes.

    Attributes:
        state: ``ok`` if the file is the one its card was written for, ``no card``, ``damaged``
            or ``unreadable``.
        problem: Why it cannot be used; empty if it can.
        parameters: Number of float elements; None if unreadable, as is ``classes``.
    """

    path: Path
    size: int
    format: str
    state: str
    problem: str = ""
    parameters: int | None = None
    classes: int | None = None
    card: Card = field(default_factory=Card)


@dataclass(frozen=True, kw_only=True)
class ModelDetails(FoundModel):
    """Everything about one model.

    ``digest`` is of the weights; shapes are without the batch axis; ``dropped`` is what the file has beside
    the network; ``not_finite`` counts the values that are NaN or infinite, by tensor; ``not_runnable`` says
    why the network cannot be run, if it cannot.
    """

    digest: str
    dialect: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    dropped: tuple[str, ...]
    not_finite: Mapping[str, int] = field(default_factory=dict)
    not_runnable: str = ""


def model_files(toolkit: Resources, folders: Sequence[Path] = ()) -> list[FoundFile]:
    """The files with a model format's suffix in the given folders, which must exist, or in ``models/``."""
    for folder in folders:
        if not folder.is_dir():
            raise MissingInputError(f"{folder}: no such folder", hint="name folders with model files")
    roots = list(folders) or [toolkit.workspace.models]
    for root in roots:
        if root.is_dir() and not os.access(root, os.R_OK | os.X_OK):
            raise UnreadableInputError(f"{root}: Permission denied", hint="change the folder's permissions")
    formats = toolkit.catalog.all(MODEL_FORMATS).values()
    suffixes = sorted({suffix for model_format in formats for suffix in model_format.suffixes})
    return find_files(roots, suffixes, follow_links=toolkit.follow_links)


def find_models(
    toolkit: Resources, request: FindModels | None = None, _progress: Progress | None = None
) -> tuple[FoundModel, ...]:
    """List models with what is known of them; a file that cannot be used is listed with the reason."""
    files = model_files(toolkit, (request or FindModels()).folders)
    return tuple(describe_file(toolkit, file.path) for file in files)


def describe_file(toolkit: Resources, path: Path, *, weights: bool = False) -> FoundModel:
    """A file as :func:`find_models` lists it; ``weights`` compares all weights with their digest, too."""
    known: dict[str, Any] = {"path": path, "size": 0, "format": ""}
    with suppress(OSError):
        known["size"] = path.stat().st_size
    with suppress(ToolkitError):
        known["format"] = toolkit.catalog.format_of(path).name
    try:
        model = open_whole(toolkit, path)
        actual, recorded = weights_digest(model.tensors) if weights else "", model.card.weights_digest
        known |= _known(without_unused(model))
        if actual and recorded not in ("", actual):
            what = f"weights digest {actual[:12]}…, the card says {recorded[:12]}…"
            raise DamagedFileError(f"{path}: {what}")
    except ToolkitError as error:
        state = "damaged" if isinstance(error, DamagedFileError) else "unreadable"
        known |= {"state": state, "problem": str(error)}
    return FoundModel(**known)


def show_model(toolkit: Resources, request: ShowModel, _progress: Progress | None = None) -> ModelDetails:
    """Everything about one model; raises as :func:`toolkit.operations.open_model.open_model`."""
    model = without_unused(open_whole(toolkit, request.model, request.arch))
    tensors = RecordedTensors(model.tensors)
    diverged, refusal = not_finite(tensors), model.describe_graph().refusal
    return ModelDetails(
        path=request.model,
        size=request.model.stat().st_size,
        format=toolkit.catalog.format_of(request.model).name,
        **_known(model),
        digest=tensors.weights_digest(),
        dialect=model.dialect,
        input_shape=model.input_shape,
        output_shape=model.output_shape,
        layers=model.layers,
        dropped=model.dropped,
        not_finite=diverged,
        not_runnable="" if refusal is None else refusal.message,
    )


def verify_models(
    toolkit: Resources, request: VerifyModels | None = None, _progress: Progress | None = None
) -> tuple[FoundModel, ...]:
    """Compare files and weights with the digests in their cards; a damaged file raises nothing."""
    paths = (request or VerifyModels()).models or [file.path for file in model_files(toolkit)]
    return tuple(describe_file(toolkit, path, weights=True) for path in paths)


def _known(model: Model) -> dict[str, Any]:
    # Opening compared the file with its card, if it has one.
    state = "ok" if model.card.file_sha256 else "no card"
    return {
        "state": state,
        "parameters": model.parameters,
        "classes": model.classes or None,
        "card": model.card,
    }
