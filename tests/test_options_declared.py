"""How options are declared, and how they describe themselves: in the docs and as a JSON schema."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from options_examples import JOB, Everything, Job, Training

from toolkit.errors import ConfigurationError
from toolkit.options import (
    describe_options,
    json_schema,
    option,
    options_as_json,
    options_from_mapping,
)


def test_options_describe_themselves() -> None:
    described = {info.name: info for info in describe_options(Everything)}
    assert list(described) == [
        "share",
        "rounds",
        "tie",
        "loud",
        "title",
        "weights",
        "floor",
        "colour",
        "max_norm",
    ]
    assert (described["share"].minimum, described["share"].maximum) == (0.0, 1.0)
    assert described["tie"].choices == ("strict", "accept-equal")
    assert described["floor"].type == "number, or none"
    assert described["weights"].default == []
    assert described["loud"].help == "whether to shout"


def test_a_type_that_options_cannot_have_is_named() -> None:
    @dataclass(frozen=True)
    class Bad:
        table: dict = option(None, help="no")  # type: ignore[type-arg]

    Bad.__annotations__["table"] = dict
    with pytest.raises(ConfigurationError, match=r"Bad\.table has the type dict"):
        describe_options(Bad)


def test_annotations_must_be_resolvable_at_run_time() -> None:
    @dataclass(frozen=True)
    class Bad:
        value: Nowhere = option(1, help="no")  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ConfigurationError, match="cannot be resolved at run time: name 'Nowhere'"):
        describe_options(Bad)


def test_a_field_without_a_default_is_refused() -> None:
    @dataclass(frozen=True)
    class Bad:
        value: int

    with pytest.raises(ConfigurationError, match=r"Bad\.value has no default"):
        describe_options(Bad)


def test_a_default_must_keep_its_own_rules() -> None:
    @dataclass(frozen=True)
    class Bad:
        value: int = option(11, help="no", maximum=10)

    with pytest.raises(ConfigurationError, match="its default breaks its own rules"):
        describe_options(Bad)


def test_limits_are_for_numbers() -> None:
    @dataclass(frozen=True)
    class Bad:
        value: str = option("a", help="no", minimum=1)

    with pytest.raises(ConfigurationError, match=r"Bad\.value has a minimum or a maximum"):
        describe_options(Bad)


def test_a_field_that_cannot_be_set_is_refused() -> None:
    @dataclass(frozen=True)
    class Bad:
        value: int = field(default=1, init=False)

    with pytest.raises(ConfigurationError, match=r"Bad\.value cannot be set"):
        describe_options(Bad)


@pytest.mark.parametrize("what", [dict, Everything(), None])
def test_only_a_dataclass_declares_options(what: object) -> None:
    with pytest.raises(ConfigurationError, match="declared by a dataclass"):
        describe_options(what)  # type: ignore[arg-type]


def test_a_bug_in_a_dataclass_of_options_keeps_its_traceback() -> None:
    @dataclass(frozen=True)
    class Bad:
        value: int = option(1, help="no")

        def __post_init__(self) -> None:
            raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        options_from_mapping(Bad, {}, owner="x")


def test_a_union_whose_members_cannot_be_told_apart_is_refused() -> None:
    @dataclass(frozen=True)
    class Bad:
        value: tuple[str, ...] | tuple[int, ...] = option((), help="no")

    with pytest.raises(ConfigurationError, match="Bad: Type unions"):
        describe_options(Bad)


def test_nested_options_are_described_by_dotted_names() -> None:
    described = {info.name: info.type for info in describe_options(Training)}
    assert described == {
        "learning_rate": "number",
        "dropout": "number",
        "schedule.warmup": "number",
        "schedule.steps": "whole number",
    }


def test_the_json_schema_has_descriptions_ranges_and_defaults_and_refuses_other_keys() -> None:
    schema = json_schema(Everything, "Options of everything")
    assert (schema["title"], schema["additionalProperties"]) == ("Options of everything", False)
    assert schema["properties"]["share"] == {
        "type": "number",
        "minimum": 0.0,
        "maximum": 1.0,
        "default": 0.5,
        "description": "a share",
    }
    assert schema["properties"]["tie"]["enum"] == ["strict", "accept-equal"]
    nested = json_schema(Job)["properties"]["models"]["items"]
    assert (nested["required"], nested["additionalProperties"]) == (["model"], False)


def test_the_json_schema_agrees_with_the_parser() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(options_as_json(JOB), json_schema(Job))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"no": 1}, json_schema(Job))


def test_choices_of_a_kind_that_options_cannot_have_are_refused() -> None:
    @dataclass(frozen=True)
    class Bad:
        value: float = option(0.5, help="no", choices=(0.5, 1.0))

    with pytest.raises(ConfigurationError, match="Bad"):
        describe_options(Bad)
