"""Options that hold dataclasses, tables, paths and conventions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from options_examples import JOB, Job, Schedule

from toolkit.errors import UsageError
from toolkit.options import (
    option,
    options_as_json,
    options_from_mapping,
    parse_options,
)
from toolkit.vocabulary import Convention


def test_nested_dataclasses_paths_conventions_and_mappings_come_back_from_json() -> None:
    document = options_as_json(JOB)
    assert document["out"] == "c.h5"
    assert document["convention"] == "transposed/standard(0.13066048,0.30810775)/dark"
    assert options_from_mapping(Job, document, owner="merge") == JOB


def test_a_convention_may_be_a_table() -> None:
    table = {"orientation": "transposed", "scale": "raw"}
    job = options_from_mapping(Job, {"convention": table}, owner="merge")
    assert job.convention == Convention("transposed", "raw", "light")
    with pytest.raises(UsageError, match="orientation must be one of upright, transposed, received 'x'"):
        options_from_mapping(Job, {"convention": {"orientation": "x"}}, owner="merge")


def test_texts_or_a_table_may_be_given() -> None:
    assert options_from_mapping(Job, {"given": ["a"]}, owner="merge").given == ("a",)
    assert options_from_mapping(Job, {"given": {"a": 1}}, owner="merge").given == {"a": 1}
    with pytest.raises(UsageError, match=r"given\[\.\.\.\] must be a whole number"):
        options_from_mapping(Job, {"given": {"a": "x"}}, owner="merge")


def test_values_that_are_ready_pass() -> None:
    ready = options_from_mapping(Job, {"out": Path("x"), "convention": Convention()}, owner="merge")
    assert (ready.out, ready.convention) == (Path("x"), Convention())


def test_a_dotted_key_sets_a_nested_field_or_an_entry() -> None:
    pairs = ["schedule.steps=7", "shares.my-set=0.25", "out=none", "convention=upright/raw/dark"]
    job = parse_options(Job, pairs, owner="merge")
    assert job == Job(
        schedule=Schedule(steps=7), shares={"my-set": 0.25}, convention=Convention("upright", "raw", "dark")
    )


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"schedule": {"steps": 0}}, "schedule.steps must be 1 or above, received 0"),
        ({"schedule": {"stepps": 1}}, "merge has no option 'schedule.stepps'"),
        ({"models": [{"model": "a.h5", "share": -1}]}, "models[0].share must be 0 or above, received -1"),
        ({"models": [{"share": 1}]}, "merge needs models[0].model"),
        ({"shares": {"a": "much"}}, "shares[...] must be a number, received {'a': 'much'}"),
        ({"out": 3}, "out must be a path, or none, received 3"),
        ({"options": {"a": float("inf")}}, "options must be table, received {'a': inf}"),
        ({"options": {"a": [{"b": float("inf")}]}}, "options must be table, received {'a': [{'b': inf}]}"),
        ({"shares": {"a": float("inf")}}, "shares[...] must be a number, received {'a': inf}"),
    ],
)
def test_an_error_in_a_nested_value_names_its_place(mapping: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        options_from_mapping(Job, mapping, owner="merge")
    assert caught.value.message == said


@dataclass(frozen=True)
class Plan:
    schedules: Mapping[str, Schedule] = option({}, help="by name")
    level: Literal[1, 2] | None = option(None, help="how much")
    size: int = option(1, help="how large", choices=(1, 3))
    extra: Any = option(None, help="anything")


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"schedules": {"a": {"steps": "x"}}}, "schedules[...].steps must be a whole number of 1 or above"),
        ({"schedules": {"a": {"stepps": 1}}}, "plan has no option 'schedules[...].stepps'"),
        ({"extra": "\0"}, "extra must be text without NUL, received '\\x00'"),
        ({"extra": [{"a": "\0"}]}, "extra must be text without NUL, received [{'a': '\\x00'}]"),
        ({"level": 3}, "level must be one of 1, 2, or none, received 3"),
        ({"size": 2}, "size must be one of 1, 3, received 2"),
        ({"size": None}, "size must be one of 1, 3, received None"),
        ({"x" * 200: 1}, f"plan has no option '{'x' * 73}…{'x' * 24}'"),
        ({"missing": 1}, "plan has no option 'missing'"),
        ({"a\nb": 1}, "plan has no option 'a\\nb'"),
        ({"x - at `$.y": 1}, "plan has no option 'x - at `$.y'"),
        ({"level": "x - at `$.y"}, "level must be one of 1, 2, or none, received 'x - at `$.y'"),
    ],
)
def test_an_error_in_a_table_or_a_choice_is_one_line(mapping: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        options_from_mapping(Plan, mapping, owner="plan")
    assert caught.value.message.startswith(said)


def test_whole_numbers_are_chosen_with_or_without_a_point_and_none_is_no_choice() -> None:
    assert options_from_mapping(Plan, {"level": 2.0, "size": 3}, owner="plan") == Plan(level=2, size=3)
    assert options_from_mapping(Plan, {"level": None}, owner="plan") == Plan()
    assert parse_options(Plan, ["level=2", "size=3"], owner="plan") == Plan(level=2, size=3)


@pytest.mark.parametrize(
    "mapping",
    [{"shares": {"a": "\udcff"}}, {"schedule": "\udcff"}, {"models": "\udcff"}, {"given": {"a": "\udcff"}}],
)
def test_a_text_that_is_not_utf_8_is_refused_as_any_other(mapping: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"must be .*, received .*\\udcff"):
        options_from_mapping(Job, mapping, owner="merge")


def test_values_that_are_nested_too_deep_are_refused() -> None:
    deep: Any = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(UsageError, match="options of merge: nested too deep"):
        options_from_mapping(Job, {"options": {"a": deep}}, owner="merge")


@pytest.mark.parametrize("pairs", [["schedule=x", "schedule.steps=1"], ["schedule.steps=1", "schedule=x"]])
def test_a_table_and_one_of_its_keys_are_not_given_together(pairs: list[str]) -> None:
    with pytest.raises(UsageError, match="given twice"):
        parse_options(Job, pairs, owner="merge")


def test_the_nearest_key_of_a_nested_dataclass_is_suggested() -> None:
    with pytest.raises(UsageError, match=r"its options are warmup, steps; did you mean steps\?"):
        options_from_mapping(Job, {"schedule": {"stepps": 1}}, owner="merge")
