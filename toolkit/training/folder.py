"""A run's folder: the names of its files, and the record of what was trained."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from toolkit.errors import UnreadableInputError
from toolkit.store import publish_text
from toolkit.store.opening import read_file

SCHEMA = 1
_MAY_DIFFER = ("created", "versions", "state", "error")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a run trains, on what, and how it ended.

    Attributes:
        architecture: Its name; empty when fine-tuning.
        fit_digest: SHA-256 of the fit images and labels.
        validation_digest: SHA-256 of the validation images and labels.
        classes: Characters by label.
        start_from: Name of the model that is fine-tuned, or empty; ``start_digest`` is of its weights.
        created: Start of the run, ISO 8601 in UTC.
        versions: Of what computes; with other versions, weights are not equal bit for bit.
        state: ``started`` until the run is finished or has failed, with an ``error``.
    """

    architecture: str
    architecture_options: Mapping[str, Any]
    dataset: str
    fit_digest: str
    fit_images: int
    validation_digest: str
    validation_images: int
    classes: tuple[str, ...]
    options: Mapping[str, Any]
    seed: int
    start_from: str = ""
    start_digest: str = ""
    convention: str = ""
    created: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    state: Literal["started", "finished", "failed"] = "started"
    error: str = ""
    schema: int = SCHEMA

    def to_json(self) -> str:
        """As text; equal records give equal texts."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=2, sort_keys=True) + "\n"

    def digest(self) -> str:
        """SHA-256 over what decides the weights."""
        return hashlib.sha256(json.dumps(self._compared(), sort_keys=True).encode()).hexdigest()

    def differences(self, other: RunRecord) -> tuple[str, ...]:
        """Names of the fields that decide the weights and differ."""
        mine, theirs = self._compared(), other._compared()
        return tuple(name for name in mine if mine[name] != theirs[name])

    def _compared(self) -> dict[str, Any]:
        return {name: value for name, value in json.loads(self.to_json()).items() if name not in _MAY_DIFFER}


class RunFolder:
    """The files of one run.

    Attributes:
        path: The folder, ``runs/<name>``.
        request: The request, as a file for ``toolkit train --config``.
        record: The :class:`RunRecord`.
        history: One row for each epoch.
        checkpoint: What a resumed run starts from; deleted when the run is finished.
        model: The network after its best epoch so far.
        confusion_plot: The confusion matrix, in ``confusion_table`` as counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.request = path / "run.toml"
        self.record = path / "run.json"
        self.history = path / "history.csv"
        self.checkpoint = path / "checkpoint"
        self.model = path / "model.h5"
        self.confusion_plot = path / "confusion.png"
        self.confusion_table = path / "confusion.csv"

    def write_record(self, record: RunRecord) -> None:
        """Publish the run's record."""
        publish_text(self.record, record.to_json())

    def read_record(self) -> RunRecord:
        """The run's record.

        Raises:
            MissingInputError: If the folder is not a run's.
            UnreadableInputError: If the file is damaged, or of another version.
        """
        import msgspec

        path = self.record
        try:
            record = msgspec.json.decode(read_file(path), type=RunRecord)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise UnreadableInputError(
                f"{path}: not the record of a run: {error}", hint="start a new run"
            ) from error
        if record.schema != SCHEMA:
            raise UnreadableInputError(
                f"{path} has schema {record.schema}, this version reads {SCHEMA}",
                hint="resume with the version that started the run, or start a new run",
            )
        return record
