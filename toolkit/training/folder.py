"""A run's folder: the names of its files, and the record of what was trained."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from toolkit.errors import MissingInputError, UnreadableInputError
from toolkit.store import publish_text

SCHEMA = 1
_LARGEST_RECORD = 1 << 20  # bytes
_MAY_DIFFER = ("created", "versions", "state", "error")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a run trains, on what, and how it ended.

    Attributes:
        architecture: Name of the architecture; empty when fine-tuning.
        architecture_options: As JSON values.
        dataset: Name of the data set.
        fit_digest: SHA-256 of the fit images and labels.
        fit_images: Number of fit images.
        validation_digest: SHA-256 of the validation images and labels.
        validation_images: Number of validation images.
        classes: Characters by label.
        options: Of the training, as JSON values.
        seed: 0 or above.
        start_from: Name of the model that is fine-tuned; empty if there is none.
        start_digest: Its weights digest.
        convention: Input format of the network.
        created: Start of the run, ISO 8601 in UTC.
        versions: Of what computes; with other versions, weights are not equal bit for bit.
        state: ``started`` until the run is finished or has failed.
        error: Why it failed.
        schema: Number of this layout.
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


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of one run.

    Attributes:
        path: The folder, ``runs/<name>``.
    """

    path: Path

    @property
    def request(self) -> Path:
        """The request, as a file for ``toolkit train --config``."""
        return self.path / "run.toml"

    @property
    def record(self) -> Path:
        """The :class:`RunRecord`."""
        return self.path / "run.json"

    @property
    def history(self) -> Path:
        """One row for each epoch."""
        return self.path / "history.csv"

    @property
    def checkpoint(self) -> Path:
        """What a resumed run starts from; deleted when the run is finished."""
        return self.path / "checkpoint"

    @property
    def model(self) -> Path:
        """The network after its best epoch so far."""
        return self.path / "model.h5"

    def history_plot(self, dataset: str) -> Path:
        """Accuracy and loss over the epochs, under the name of the original project."""
        return self.path / f"training_history_{dataset}.png"

    @property
    def confusion_plot(self) -> Path:
        """The confusion matrix as a picture."""
        return self.path / "confusion.png"

    @property
    def confusion_table(self) -> Path:
        """The confusion matrix as counts."""
        return self.path / "confusion.csv"

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
        if not path.is_file():
            raise MissingInputError(
                f"{self.path} is not a run: it has no {path.name}", hint="see `toolkit runs list`"
            )
        try:
            with path.open("rb") as file:
                record = msgspec.json.decode(file.read(_LARGEST_RECORD), type=RunRecord)
        except (OSError, msgspec.MsgspecError, RecursionError) as error:
            raise UnreadableInputError(
                f"{path}: not the record of a run: {error}", hint="start a new run"
            ) from error
        if record.schema != SCHEMA:
            raise UnreadableInputError(
                f"{path} has schema {record.schema}, this version reads {SCHEMA}",
                hint="resume with the version that started the run, or start a new run",
            )
        return record
