"""Writing a model for somebody else's program."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.declarations import ExportRequest
from toolkit.errors import MissingInputError, UsageError
from toolkit.host.kinds import EXPORTERS
from toolkit.model import Card, Model
from toolkit.model.card_file import publish_model
from toolkit.operations.opening import open_model
from toolkit.operations.toolkit import Toolkit
from toolkit.options import parse_options
from toolkit.store import exclusive

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

PROBES = 64


@dataclass(frozen=True, slots=True)
class Exported:
    """A published export.

    Attributes:
        path: Of the file.
        size: In bytes.
        exporter: Name of the exporter.
        sha256: Of the file.
        facts: What the exporter checked and measured.
    """

    path: Path
    size: int
    exporter: str
    sha256: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def export(
    toolkit: Toolkit,
    path: Path,
    *,
    to: str,
    out: Path | None = None,
    options: tuple[str, ...] = (),
    dataset: str | None = None,
) -> Exported:
    """Export a model; the file appears whole and proved, or not at all.

    Args:
        toolkit: Where formats, exporters and data sets come from.
        path: Of the model file.
        to: Name of the exporter.
        out: Where to; by default beside the model, with the exporter's suffix.
        options: ``key=value`` for the exporter.
        dataset: Whose images the export is proved on; by default the model's own data set, where
            it is at hand, and images of noise otherwise.

    Raises:
        ProofError: If the export does not do what the model does.
        UnsupportedError: If the network has a layer that the exporter does not know.
        BusyError: If somebody else is writing the same file.
    """
    exporter = toolkit.catalog.get(EXPORTERS, to)
    chosen: Any = parse_options(exporter.options, options, owner=f"exporter {to}")
    target = out if out is not None else path.with_suffix(exporter.suffix)
    if target.suffix.lower() != exporter.suffix:
        raise UsageError(
            f"{target}: exporter {to} writes {exporter.suffix} files", hint=f"name it …{exporter.suffix}"
        )
    if target.resolve() == path.resolve():
        raise UsageError(
            f"{target}: the export would replace its own source", hint="choose another place with --out"
        )
    model = open_model(toolkit, path)
    probe = _probe(toolkit, model.card, dataset)
    facts: dict[str, Any] = {}

    def write(staging: Path) -> None:
        request = ExportRequest(model, staging, chosen, probe, lambda: _in_keras(model))
        facts.update(exporter.export(request).facts)

    def card() -> Card:
        # What an exporter folds, it changes: the file's own weights have a digest of their own.
        digest = facts.get("weights_digest", model.card.weights_digest)
        return dataclasses.replace(model.card, name=target.stem, weights_digest=digest)

    target.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(target):
        written = publish_model(target, write, card)
    return Exported(target, target.stat().st_size, to, written.file_sha256, facts)


def _in_keras(model: Model) -> keras.Model:
    from toolkit.training.keras_bridge import keras_from_model

    return keras_from_model(model)


def _probe(toolkit: Toolkit, card: Card, dataset: str | None) -> NDArray[np.uint8] | None:
    wanted = dataset or card.dataset
    if not wanted:
        return None
    try:
        source = toolkit.data.find(wanted)
    except MissingInputError:
        if dataset is not None:
            raise
        return None
    images: NDArray[np.uint8] = toolkit.data.open(source, "test").images[:PROBES]
    return images
