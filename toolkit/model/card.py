"""What is known of a model, as a small JSON document."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from toolkit.errors import UnreadableInputError
from toolkit.vocabulary import Convention

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Parent:
    """A model that another one was made from.

    Attributes:
        name: Its file name, without folders.
        digest: Its weights digest.
        weight: Its share in a merge, 0 to 1; 1 for a fine-tuning.
    """

    name: str
    digest: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a model.

    Attributes:
        name: Of the model, usually its file's stem.
        classes: Characters by output index; empty where they are not known.
        convention: How it wants its pixels; None where that is not known.
        architecture: Name of the architecture it was built by, or empty.
        dataset: Name of the data set it was trained on, or empty.
        metrics: Figures by name: ``validation_accuracy`` and ``test_accuracy`` in 0 to 1,
            ``validation_images``, ``test_images``.
        made_by: ``train``, ``fine-tune``, ``merge`` or empty.
        parents: What it was made from.
        settings: The options that it was made with, as JSON values.
        seed: The seed it was made with.
        weights_digest: Over its tensors.
        file: Its file's name, without folders; in a card that stands beside the file.
        file_sha256: Of its file; in a card that stands beside the file.
        schema: Number of this layout.
    """

    name: str = ""
    classes: tuple[str, ...] = ()
    convention: Convention | None = None
    architecture: str = ""
    dataset: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    made_by: str = ""
    parents: tuple[Parent, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    weights_digest: str = ""
    file: str = ""
    file_sha256: str = ""
    schema: int = SCHEMA

    @property
    def validation_accuracy(self) -> float | None:
        """Accuracy on the validation split, 0 to 1, if it was measured."""
        return self.metrics.get("validation_accuracy")

    def to_json(self) -> str:
        """The card as text; equal cards give equal texts."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=2, sort_keys=True) + "\n"

    def embedded(self) -> Card:
        """The card inside the model's file: without digests, which are known once the file is written."""
        return dataclasses.replace(self, file="", file_sha256="", weights_digest="")


def parse_card(text: str | bytes, where: str) -> Card:
    """Read a card.

    Args:
        text: JSON.
        where: Of which file, for the error message.

    Raises:
        UnreadableInputError: If it is no card, or one of a newer schema.
    """
    try:
        data = json.loads(text)
        schema = data["schema"]
        card = _card(data) if schema == SCHEMA else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnreadableInputError(
            f"{where}: not a model card: {error}",
            hint="delete it, or write it anew by training or merging",
        ) from error
    if card is None:
        raise UnreadableInputError(
            f"{where}: the card has schema {schema!r}, this version reads {SCHEMA}",
            hint="update the toolkit, or delete the card",
        )
    return card


def _card(data: Mapping[str, Any]) -> Card:
    convention = data.get("convention")
    seed = data.get("seed")
    return Card(
        name=_text(data, "name"),
        classes=tuple(_each_text(data.get("classes", []), "classes")),
        convention=None if convention is None else _convention(convention),
        architecture=_text(data, "architecture"),
        dataset=_text(data, "dataset"),
        metrics={str(key): float(value) for key, value in dict(data.get("metrics", {})).items()},
        made_by=_text(data, "made_by"),
        parents=tuple(
            Parent(_text(parent, "name"), _text(parent, "digest"), float(parent.get("weight", 1.0)))
            for parent in data.get("parents", [])
        ),
        settings=dict(data.get("settings", {})),
        seed=None if seed is None else int(seed),
        weights_digest=_text(data, "weights_digest"),
        file=_text(data, "file"),
        file_sha256=_text(data, "file_sha256"),
    )


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key, "")
    if not isinstance(value, str):
        raise TypeError(f"{key} is {type(value).__name__}, not text")
    return value


def _each_text(values: Any, key: str) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{key} is not a list of texts")
    return values


def _convention(data: Mapping[str, Any]) -> Convention:
    allowed = {
        "orientation": ("upright", "transposed"),
        "scale": ("unit", "raw", "standard"),
        "ink": ("light", "dark"),
    }
    for key, choices in allowed.items():
        if data[key] not in choices:
            raise ValueError(f"convention.{key} is {data[key]!r}, not one of {', '.join(choices)}")
    deviation = float(data.get("deviation", 1.0))
    if not deviation > 0:
        raise ValueError(f"convention.deviation is {deviation}, not above 0")
    return Convention(
        data["orientation"], data["scale"], data["ink"], float(data.get("mean", 0.0)), deviation
    )
