"""What is known about a model, as a small JSON document."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from toolkit.errors import ToolkitError, UnreadableInputError
from toolkit.options import option, options_as_json, options_from_mapping
from toolkit.records import dataclass
from toolkit.store.opening import decode_json
from toolkit.version import __version__
from toolkit.vocabulary import Convention

SCHEMA = 2
_OLDEST = 1  # the same fields, with another kind of weights digest


@dataclass(frozen=True)
class Parent:
    """A model that another one was made from."""

    name: str = option("", help="file name, without folders")
    digest: str = option("", help="weights digest")
    weight: float = option(1.0, help="share in a merge, 0 to 1; 1 for a fine-tuning")


@dataclass(frozen=True)
class Card:
    """What is known about a model; an empty value means not known."""

    name: str = option("", help="name of the model, usually the stem of its file")
    classes: tuple[str, ...] = option((), help="characters by output index")
    convention: Convention | None = option(None, help="input format: orientation/scale/ink")
    architecture: str = option("", help="architecture")
    dataset: str = option("", help="data set it was trained on")
    metrics: Mapping[str, float] = option(
        {},
        help="figures by name: validation_accuracy and test_accuracy, 0 to 1; validation_images, test_images",
    )
    made_by: str = option("", help="train, fine-tune, merge or ensemble")
    parents: tuple[Parent, ...] = option((), help="models it was made from")
    settings: Mapping[str, Any] = option({}, help="options it was made with; the learning rate as used")
    seed: int | None = option(None, help="random seed it was made with")
    verification: Mapping[str, Any] = option(
        {}, help="how the file was verified: compared with what, on how many images, the tolerance"
    )
    created: str = option("", help="UTC date and time of the file, ISO 8601; not in the embedded card")
    toolkit_version: str = option("", help="version of the toolkit that made it")
    weights_digest: str = option("", help="digest of its tensors; not in the embedded card")
    file: str = option("", help="file name, without folders; not in the embedded card")
    file_sha256: str = option("", help="SHA-256 of the file; not in the embedded card")
    schema: int = option(SCHEMA, help="number of this layout", minimum=SCHEMA, maximum=SCHEMA)

    @property
    def validation_accuracy(self) -> float | None:
        """Accuracy on the validation split, 0 to 1, if it was measured."""
        return self.metrics.get("validation_accuracy")

    @property
    def untrained(self) -> bool:
        """Whether the network was found to read nothing under any convention when it was adopted."""
        adopted = self.settings.get("adopted")
        return isinstance(adopted, Mapping) and adopted.get("certainty") == "untrained"

    def to_json(self) -> str:
        """The card as strict JSON; equal cards give equal texts."""
        document = options_as_json(self)
        return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"

    def stamped(self) -> Card:
        """The card with the present date and version, unless it has them."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return dataclasses.replace(
            self, created=self.created or now, toolkit_version=self.toolkit_version or __version__
        )

    def embedded(self) -> Card:
        """The card inside the model's file: without the file's date, so that equal models give equal
        files, and without digests, which are known only when the file is written.
        """
        return dataclasses.replace(self, created="", file="", file_sha256="", weights_digest="")


def parse_card(text: str | bytes, where: str) -> Card:
    """Read a card, strict JSON of the file ``where``; keys that it does not have are ignored.

    Raises:
        UnreadableInputError: If it is not a card, or has a newer schema.
    """
    hint = "delete it, or create it again by training or merging"
    try:
        data = decode_json(text)
    except ValueError as error:
        raise UnreadableInputError(f"{where}: not a model card: {error}", hint=hint) from error
    if not isinstance(data, dict):
        raise UnreadableInputError(f"{where}: not a model card: not an object", hint=hint)
    schema = data.get("schema")
    if type(schema) is int and schema > SCHEMA:
        raise UnreadableInputError(
            f"{where}: the card has schema {schema}, this version reads {SCHEMA}",
            hint="update the toolkit, or delete the card",
        )
    if schema == _OLDEST and type(schema) is int:
        data |= {"schema": SCHEMA, "weights_digest": ""}
    known = {field.name for field in dataclasses.fields(Card)}
    try:
        if schema is None:
            raise UnreadableInputError("it has no schema number")
        card = options_from_mapping(
            Card, {key: value for key, value in data.items() if key in known}, owner="the card"
        )
        for name, value in card.metrics.items():
            if name.endswith("_accuracy") and not 0 <= value <= 1:
                raise UnreadableInputError(f"{name} must be from 0 to 1, received {value:g}")
        return card
    except ToolkitError as error:
        raise UnreadableInputError(f"{where}: not a model card: {error.message}", hint=hint) from error
