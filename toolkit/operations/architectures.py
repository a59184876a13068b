"""The architecture of a file with weights only: named by the user, beside the file, or in its card."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from toolkit.declarations import BuildRequest, DescribeRequest
from toolkit.errors import (
    MissingInputError,
    ToolkitError,
    UnreadableInputError,
    UnsupportedError,
    WeightsOnlyError,
    did_you_mean,
    shown,
)
from toolkit.host.kinds import ARCHITECTURES, MODEL_FORMATS
from toolkit.host.read_model import WithTemplate, architecture_of, read_model
from toolkit.model import Model
from toolkit.model.card_file import read_card
from toolkit.operations.resources import Resources
from toolkit.store.content import content_of
from toolkit.store.opening import parse_json, read_file

_IN_FOLDER = ("model.json", "config.json", "architecture.json")
_FORM = "an architecture, its JSON (model.to_json() in Keras), or a model file with the same architecture"


def read_weights(
    toolkit: Resources, path: Path, arch: str | None, problem: WeightsOnlyError, read: WithTemplate
) -> Model:
    """Read a file with weights only; the model's card says which architecture was used.

    The first of these is used: ``arch``; ``<stem>.json`` or ``<stem>.config.json`` beside the file; the
    architecture in its card; ``model.json``, ``config.json`` or ``architecture.json`` in its folder, if
    one of them fits.

    Args:
        arch: Name of an architecture, or path of its JSON or of a model file.
        problem: What was found when the file was read.
        read: Reads the file with the architecture of a model.

    Raises:
        WeightsOnlyError: If there is no architecture.
        UnreadableInputError: If the weights do not fit the one that was found.
    """
    if arch is not None:
        return _named(read(_architecture(toolkit, Path(arch), arch, problem.stored)), arch, path)
    for beside in _beside(path):
        described = _described(toolkit, beside, problem.stored)
        if described is not None:
            return _named(read(described), beside.name, path)
    card = read_card(path)
    known = card.architecture if card is not None else ""
    if known and (known in toolkit.catalog.all(ARCHITECTURES) or path.with_name(known).is_file()):
        return read(_architecture(toolkit, path.with_name(known), known, problem.stored))
    fitting = list(_fitting(toolkit, path, problem.stored, read))
    if len(fitting) == 1:
        return fitting[0]
    found = f"; {len(fitting)} JSON files in its folder fit" if fitting else ""
    raise WeightsOnlyError(
        f"{problem.message}{found}",
        hint=f"name the architecture with --arch: {_FORM}; or put the JSON beside it as {path.stem}.json",
        stored=problem.stored,
    )


def _architecture(toolkit: Resources, path: Path, arch: str, stored: Mapping[str, tuple[int, ...]]) -> Model:
    """A model of the architecture that a name or a path means."""
    architectures = toolkit.catalog.all(ARCHITECTURES)
    if arch in architectures:
        return _built(toolkit, arch, stored)
    try:
        with content_of(path, follow_links=toolkit.follow_links) as content:
            is_json = content.head.lstrip()[:1] in (b"{", b'"') and b"\0" not in content.head
    except MissingInputError as error:
        nearest = did_you_mean(arch, architectures)
        known = ", ".join(architectures) or "none is installed"
        raise MissingInputError(
            f"{shown(arch)}: neither an architecture nor a file",
            hint=f"{nearest} --arch takes {_FORM}; architectures: {known}".lstrip(),
        ) from error
    if is_json:
        return _from_json(toolkit, path, stored)
    if toolkit.before_reading is not None:
        toolkit.before_reading(path)
    try:
        return read_model(toolkit.catalog, path)
    except WeightsOnlyError as error:
        raise UnreadableInputError(
            f"{error.message}: it cannot be the architecture of another file", hint=f"name {_FORM}"
        ) from error


def _from_json(toolkit: Resources, path: Path, stored: Mapping[str, tuple[int, ...]]) -> Model:
    document = parse_json(read_file(path, follow_links=toolkit.follow_links), str(path))
    if isinstance(document, str):  # to_json() returns a text, which some programs write as JSON again
        document = parse_json(document, str(path))
    if not isinstance(document, dict):
        raise UnreadableInputError(f"{path}: not an architecture", hint=f"name {_FORM}")
    return architecture_of(toolkit.catalog, DescribeRequest(document, path.name, stored))


def _described(toolkit: Resources, path: Path, stored: Mapping[str, tuple[int, ...]]) -> Model | None:
    """The architecture in a JSON file; None if there is none. One that is not supported is refused."""
    try:
        return _from_json(toolkit, path, stored)
    except UnsupportedError:
        raise
    except (MissingInputError, UnreadableInputError):
        return None


def _beside(path: Path) -> Iterator[Path]:
    stem = path.stem.removesuffix(".weights")
    for name in dict.fromkeys((path.stem, stem)):
        yield path.with_name(f"{name}.json")
        yield path.with_name(f"{name}.config.json")


def _fitting(
    toolkit: Resources, path: Path, stored: Mapping[str, tuple[int, ...]], read: WithTemplate
) -> Iterator[Model]:
    """The model with each architecture in the file's folder that its weights fit."""
    for name in _IN_FOLDER:
        try:
            yield _named(read(_from_json(toolkit, path.with_name(name), stored)), name, path)
        except ToolkitError:
            continue


def _named(model: Model, arch: str, path: Path) -> Model:
    """The model with the architecture in its card, if it is found again by that."""
    beside = Path(arch).resolve() == path.with_name(Path(arch).name).resolve()
    if model.card.architecture or (Path(arch).exists() and not beside):
        return model
    return model.with_card(dataclasses.replace(model.card, architecture=Path(arch).name))


def _built(toolkit: Resources, name: str, stored: Mapping[str, tuple[int, ...]]) -> Model:
    """A model that an architecture's plugin builds, with as many classes as the weights have."""
    from toolkit.training.framework import load_tensorflow, require_framework
    from toolkit.training.keras_bridge import template_of

    require_framework(f"building the architecture {name}")
    load_tensorflow()
    architecture = toolkit.catalog.get(ARCHITECTURES, name)
    as_h5 = toolkit.catalog.get(MODEL_FORMATS, "h5")

    def build(classes: int) -> Model:
        request = BuildRequest(classes=classes, options=architecture.options())
        return template_of(architecture.build(request), as_h5)

    few = build(2)
    classes = _classes(stored, few)
    return few if classes == 2 else build(classes)


def _classes(stored: Mapping[str, tuple[int, ...]], few: Model) -> int:
    """The size of what is stored and is not in a network with two classes: its head."""
    others = Counter(stored.values()) - Counter(spec.shape for spec in few.tensors.specs.values())
    vectors = [shape[0] for shape in others if len(shape) == 1]
    heads = [size for size in vectors if any(len(shape) > 1 and size in shape for shape in others)]
    return max(heads[0], 2) if heads else 2
