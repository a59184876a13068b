"""A run's folder: the names of its files, and the record of what was trained."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

from toolkit.errors import UnreadableInputError
from toolkit.records import dataclass
from toolkit.store import publish_text
from toolkit.store.opening import read_file

SCHEMA = 1
_MAY_DIFFER = ("created", "versions", "state", "error")


@dataclass(frozen=True)
class RunRecord:
    """What a run trains, on what, and how it ended.

    Attributes:
        architecture: Empty when fine-tuning the model ``start_from``; ``start_digest`` is of its weights.
        fit_digest: SHA-256 of images and labels, as ``validation_digest``.
        versions: Of what computes; with other versions, weights are not equal bit for bit.
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

    def digest(self) -> str:
        """SHA-256 over what decides the weights."""
        return hashlib.sha256(json.dumps(self._compared(), sort_keys=True).encode()).hexdigest()

    def differences(self, other: RunRecord) -> tuple[str, ...]:
        """Names of the fields that decide the weights and differ."""
        mine, theirs = self._compared(), other._compared()
        return tuple(name for name in mine if mine[name] != theirs[name])

    def _compared(self) -> dict[str, Any]:
        fields = json.loads(json.dumps(dataclasses.asdict(self), sort_keys=True))
        return {name: value for name, value in fields.items() if name not in _MAY_DIFFER}


class RunFolder:
    """The files of one run.

    ``request`` is a file for ``toolkit train --config``; ``checkpoint`` is deleted when the run is
    finished; ``model`` is the network after its best epoch so far.
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
        text = json.dumps(dataclasses.asdict(record), ensure_ascii=False, indent=2, sort_keys=True)
        publish_text(self.record, f"{text}\n")

    def read_record(self) -> RunRecord:
        """The run's record; UnreadableInputError if it is damaged or of another version."""
        import msgspec

        try:
            record = msgspec.json.decode(read_file(self.record), type=RunRecord)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise UnreadableInputError(
                f"{self.record}: not the record of a run: {error}", hint="start a new run"
            ) from error
        if record.schema != SCHEMA:
            raise UnreadableInputError(
                f"{self.record} has schema {record.schema}, this version reads {SCHEMA}",
                hint="resume with the version that started the run, or start a new run",
            )
        return record
