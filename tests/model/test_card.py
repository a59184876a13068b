"""The card of a model: strict JSON that follows its published schema."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from toolkit.errors import UnreadableInputError
from toolkit.model import Card, Parent, parse_card
from toolkit.version import __version__
from toolkit.vocabulary import Convention

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"
CARD = Card(
    name="small",
    classes=("a", "b"),
    convention=Convention("transposed", "standard", "dark", 0.13066048, 0.30810775),
    metrics={"validation_accuracy": 0.5, "validation_images": 10.0},
    made_by="merge",
    parents=(Parent("a.h5", "1" * 64, 0.5),),
    settings={"learning_rate": 0.004, "batch_size": 256, "power": 2.0},
    seed=3,
    weights_digest="2" * 64,
    file="small.h5",
    file_sha256="3" * 64,
).stamped()


def test_a_card_comes_back_from_its_json_and_follows_its_schema() -> None:
    assert parse_card(CARD.to_json(), "a card") == CARD
    assert parse_card(CARD.to_json(), "a card").to_json() == CARD.to_json()
    jsonschema.validate(json.loads(CARD.to_json()), json.loads((SCHEMAS / "card.schema.json").read_text()))


def test_a_card_has_date_and_version() -> None:
    created = datetime.fromisoformat(CARD.created)
    assert created.utcoffset() == datetime.now(UTC).utcoffset()
    assert CARD.toolkit_version == __version__
    assert CARD.stamped() == CARD


def test_the_embedded_card_is_the_same_whenever_it_is_written() -> None:
    later = replace(
        CARD, created="2031-01-01T00:00:00+00:00", weights_digest="4" * 64, file="b", file_sha256="5"
    )
    assert later.embedded() == CARD.embedded()
    assert CARD.embedded().toolkit_version == __version__


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "not a model card"),
        ("{", "not a model card"),
        ("{}", "it has no schema number"),
        ('{"schema": "2"}', "schema must be a whole number"),
        ('{"schema": true}', "schema must be a whole number"),
        ('{"schema": 0}', "schema must be from 2 to 2, received 0"),
        ('{"schema": 99}', "the card has schema 99, this version reads 2"),
        ('{"schema": 2, "seed": NaN}', "not a model card"),
        ('{"schema": 2, "metrics": {"test_accuracy": Infinity}}', "not a model card"),
        ('{"schema": 2, "metrics": {"test_accuracy": 1e999}}', "not a model card"),
        ('{"schema": 2, "metrics": {"test_accuracy": 1e308}}', "test_accuracy must be from 0 to 1"),
        ('{"schema": 2, "metrics": {"test_accuracy": "high"}}', "metrics[...] must be a number"),
        ('{"schema": 2, "classes": [1]}', "classes[0] must be text, received 1"),
        ('{"schema": 2, "seed": "3"}', "seed must be a whole number, or none"),
        ('{"schema": 2, "parents": [{"weight": "much"}]}', "parents[0].weight must be a number"),
        ('{"schema": 2, "convention": {"orientation": "sideways"}}', "orientation must be one of upright"),
        ('{"schema": 2, "convention": {"deviation": 0}}', "a convention has a deviation above 0"),
        ('{"schema": 2, "convention": "sideways"}', "expected a convention, received 'sideways'"),
        ('{"schema": 2, "settings": ' + "[" * 5000 + "]" * 5000 + "}", "not a model card"),
    ],
)
def test_what_is_not_a_card_is_refused_with_the_field(text: str, said: str) -> None:
    with pytest.raises(UnreadableInputError) as caught:
        parse_card(text, "models/a.card.json")
    assert caught.value.message.startswith("models/a.card.json")
    assert said in caught.value.message


def test_keys_of_other_programs_are_ignored() -> None:
    document = json.loads(CARD.to_json()) | {"license": "CC0"}
    assert parse_card(json.dumps(document), "a card") == CARD


def test_a_card_of_the_first_schema_is_read_without_its_weights_digest() -> None:
    old = json.loads(CARD.to_json()) | {"schema": 1, "convention": {"orientation": "transposed"}}
    for key in ("created", "toolkit_version"):
        del old[key]
    expected = replace(
        CARD, convention=Convention("transposed"), created="", toolkit_version="", weights_digest=""
    )
    assert parse_card(json.dumps(old), "a card") == expected


def test_no_card_with_infinity_is_written() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        Card(metrics={"test_accuracy": float("inf")}).to_json()
