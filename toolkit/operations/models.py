"""Finding, showing and verifying model files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import DamagedFileError, MissingInputError, ToolkitError, UnreadableInputError
from toolkit.graph.topology import Layer
from toolkit.host.kinds import MODEL_FORMATS
from toolkit.model import Card, Model
from toolkit.operations.opening import open_model
from toolkit.operations.toolkit import Toolkit
from toolkit.store import FoundFile, find_files
from toolkit.tensors import weights_digest


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model file in a list.

    Attributes:
        path: Of the file.
        size: In bytes.
        format: Name of its format.
        state: ``ok`` if the file is the one its card was written for, ``no card``, ``damaged``
            or ``unreadable``.
        problem: Why it cannot be used; empty if it can.
        parameters: Number of float elements; None if unreadable.
        classes: Number of outputs; None if unreadable.
        card: What is known of it.
    """

    path: Path
    size: int
    format: str
    state: str
    problem: str
    parameters: int | None
    classes: int | None
    card: Card


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """All that is known of one model.

    Attributes:
        path: Of the file.
        size: In bytes.
        state: As in :class:`FoundModel`.
        card: What is known of it.
        digest: Its weights digest.
        dialect: ``keras`` or ``onnx``.
        input_shape: Without the batch axis.
        output_shape: Without the batch axis.
        parameters: Number of float elements.
        layers: In graph order.
        dropped: What the file holds beside the network.
    """

    path: Path
    size: int
    state: str
    card: Card
    digest: str
    dialect: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int
    layers: tuple[Layer, ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """Whether a file is what its card says.

    Attributes:
        path: Of the file.
        state: As in :class:`FoundModel`.
        problem: What is wrong; empty if nothing is.
    """

    path: Path
    state: str
    problem: str


def model_files(toolkit: Toolkit, folders: Sequence[Path] = ()) -> list[FoundFile]:
    """The files with a model format's suffix in the given folders, or in the workspace's ``models``.

    Raises:
        MissingInputError: If a folder that was named is not there.
        UnreadableInputError: If one may not be read.
    """
    for folder in folders:
        if not folder.is_dir():
            raise MissingInputError(f"{folder}: no such folder", hint="name folders that hold model files")
    roots = list(folders) or [toolkit.workspace.models]
    for root in roots:
        if root.is_dir() and not os.access(root, os.R_OK | os.X_OK):
            raise UnreadableInputError(f"{root}: Permission denied", hint="change the folder's permissions")
    suffixes = sorted(
        {suffix for item in toolkit.catalog.all(MODEL_FORMATS).values() for suffix in item.suffixes}
    )
    return find_files(roots, suffixes)


def find_models(toolkit: Toolkit, folders: Sequence[Path] = ()) -> tuple[FoundModel, ...]:
    """List the models in the given folders, or in the workspace's ``models``, with what is known of them.

    Only headers and cards are read; a file that cannot be used is listed with the reason.

    Raises:
        MissingInputError: If a folder that was named is not there.
    """
    return tuple(_found(toolkit, file) for file in model_files(toolkit, folders))


def show_model(toolkit: Toolkit, path: Path) -> ModelDetails:
    """All that is known of one model.

    Raises:
        MissingInputError: If there is no such file.
        DamagedFileError: If the file is not the one that its card was written for.
        UnreadableInputError: If it is no model.
    """
    model = open_model(toolkit, path)
    return ModelDetails(
        path=path,
        size=path.stat().st_size,
        state=_state(model),
        card=model.card,
        digest=weights_digest(model.tensors),
        dialect=model.dialect,
        input_shape=model.input_shape,
        output_shape=model.output_shape,
        parameters=model.parameters,
        layers=model.topology.layers,
        dropped=model.dropped,
    )


def verify_models(toolkit: Toolkit, paths: Sequence[Path] = ()) -> tuple[Verified, ...]:
    """Compare files and weights with the digests in their cards.

    Args:
        toolkit: Where formats come from.
        paths: Model files; all of the workspace's models where none is given.

    Returns:
        One entry a file; nothing is raised for a file that is damaged.
    """
    chosen = list(paths) or [file.path for file in model_files(toolkit)]
    return tuple(_verified(toolkit, path) for path in chosen)


def _verified(toolkit: Toolkit, path: Path) -> Verified:
    try:
        model = open_model(toolkit, path)
        recorded = model.card.weights_digest
        actual = weights_digest(model.tensors)
    except DamagedFileError as error:
        return Verified(path, "damaged", str(error))
    except ToolkitError as error:
        return Verified(path, "unreadable", str(error))
    if recorded and recorded != actual:
        return Verified(
            path, "damaged", f"{path}: weights digest {actual[:12]}…, the card says {recorded[:12]}…"
        )
    return Verified(path, _state(model), "")


def _found(toolkit: Toolkit, file: FoundFile) -> FoundModel:
    name = toolkit.catalog.format_of(file.path).name
    try:
        model: Model = open_model(toolkit, file.path)
        state = _state(model)
    except ToolkitError as error:
        state = "damaged" if isinstance(error, DamagedFileError) else "unreadable"
        return FoundModel(file.path, file.size, name, state, str(error), None, None, Card())
    return FoundModel(file.path, file.size, name, state, "", model.parameters, model.classes, model.card)


def _state(model: Model) -> str:
    """Of a model that was opened: its file was compared with its card then, if there is one."""
    return "ok" if model.card.file_sha256 else "no card"
