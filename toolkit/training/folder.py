"""A run's folder: what stands in it and under which names."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.errors import MissingInputError, UnreadableInputError
from toolkit.store import publish_text

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class RunConfiguration:
    """What a run was started with; a resumed run must be the same.

    Attributes:
        architecture: Name of the architecture; empty when fine-tuning.
        architecture_options: As JSON values.
        dataset: Name of the data set.
        fit_digest: SHA-256 over the fit images and labels.
        validation_digest: The same of the validation images.
        fit_images: Their number.
        validation_images: Number of validation images.
        classes: Characters by label.
        options: Of the training, as JSON values.
        seed: 0 or above.
        start_from: Name of the model that is fine-tuned; empty when there is none.
        start_digest: Its weights digest.
        convention: How the network wants its pixels.
        versions: Of what computes: a run goes on bit for bit only with the same ones.
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
    versions: Mapping[str, str] = field(default_factory=dict)
    schema: int = SCHEMA

    def to_json(self) -> str:
        """As text; equal configurations give equal texts."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=2, sort_keys=True) + "\n"

    def digest(self) -> str:
        """SHA-256 over all but the versions: whether two runs are the same training."""
        same = dataclasses.replace(self, versions={})
        return hashlib.sha256(same.to_json().encode()).hexdigest()

    def differences(self, other: RunConfiguration) -> tuple[str, ...]:
        """Names of the fields, versions aside, in which another configuration differs."""
        mine, theirs = json.loads(self.to_json()), json.loads(other.to_json())
        return tuple(name for name in mine if name != "versions" and mine[name] != theirs[name])


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of one training.

    Attributes:
        path: The folder, ``runs/<id>``.
    """

    path: Path

    @property
    def configuration(self) -> Path:
        """What the run was started with."""
        return self.path / "config.json"

    @property
    def history(self) -> Path:
        """One line for each epoch."""
        return self.path / "history.csv"

    @property
    def checkpoint(self) -> Path:
        """What the run goes on from."""
        return self.path / "checkpoint"

    @property
    def model(self) -> Path:
        """The network after its best epoch so far."""
        return self.path / "model.h5"

    def history_plot(self, dataset: str) -> Path:
        """Accuracy and loss over the epochs, named as the users of the original project know it."""
        return self.path / f"training_history_{dataset}.png"

    @property
    def confusion_plot(self) -> Path:
        """Which characters were taken for which."""
        return self.path / "confusion.png"

    @property
    def confusion_table(self) -> Path:
        """The same as counts, one row for each true class."""
        return self.path / "confusion.csv"

    def write_configuration(self, configuration: RunConfiguration) -> None:
        """Publish the run's configuration."""
        publish_text(self.configuration, configuration.to_json())

    def read_configuration(self) -> RunConfiguration:
        """What the run was started with.

        Raises:
            MissingInputError: If the folder is no run's.
            UnreadableInputError: If the file is damaged or of another version.
        """
        path = self.configuration
        if not path.is_file():
            raise MissingInputError(
                f"{self.path} holds no run: {path.name} is missing", hint="runs stand in the folder runs/"
            )
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            configuration = RunConfiguration(**{**data, "classes": tuple(data["classes"])})
        except (ValueError, TypeError, KeyError) as error:
            raise UnreadableInputError(
                f"{path}: not a run's configuration: {error}", hint="start a new run"
            ) from error
        if configuration.schema != SCHEMA:
            raise UnreadableInputError(
                f"{path} has schema {configuration.schema!r}, this version reads {SCHEMA}",
                hint="go on with the version that started the run, or start a new run",
            )
        return configuration
