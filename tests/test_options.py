"""Options: one dataclass for the command line, for JSON and for the table in the docs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from toolkit.declarations import NoOptions
from toolkit.errors import ConfigurationError, UsageError
from toolkit.options import (
    describe_options,
    json_schema,
    option,
    options_as_json,
    options_from_mapping,
    parse_options,
    route_options,
)
from toolkit.vocabulary import Convention


@dataclass(frozen=True)
class Everything:
    share: float = option(0.5, help="a share", minimum=0.0, maximum=1.0)
    rounds: int = option(3, help="how often", minimum=1)
    tie: Literal["strict", "accept-equal"] = option("strict", help="what an equal score is worth")
    loud: bool = option(False, help="whether to shout")
    title: str = option("", help="what to call it")
    weights: tuple[float, ...] = option((), help="one a model")
    floor: float | None = option(None, help="none for chance")
    colour: str = option("red", help="which one", choices=("red", "green"))
    max_norm: int = option(0, help="with a hyphen on the command line")


@dataclass(frozen=True)
class Ordered:
    low: int = option(0, help="lower end")
    high: int = option(1, help="upper end")

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")


@dataclass(frozen=True)
class Schedule:
    warmup: float = option(0.1, help="share of the steps", minimum=0.0, maximum=1.0)
    steps: int = option(5, help="how many", minimum=1)


@dataclass(frozen=True)
class Ingredient:
    model: Path = option(help="model file")
    share: float = option(1.0, help="its share", minimum=0.0)


@dataclass(frozen=True)
class Job:
    """A request with everything that options may hold."""

    models: tuple[Ingredient, ...] = option((), help="what to merge")
    schedule: Schedule = option(Schedule(), help="of the training")
    out: Path | None = option(None, help="output file")
    convention: Convention | None = option(None, help="input format")
    shares: Mapping[str, float] = option({}, help="share of each data set")
    options: Mapping[str, Any] = option({}, help="of the plugins")
    given: tuple[str, ...] | Mapping[str, int] = option((), help="texts or a table")


@dataclass(frozen=True)
class Arch:
    width: int = option(32, help="channels", minimum=1)
    dropout: float = option(0.5, help="share left out", minimum=0.0, maximum=1.0)


@dataclass(frozen=True)
class Training:
    learning_rate: float = option(0.001, help="highest learning rate", minimum=0.0)
    dropout: float = option(0.0, help="of the labels", minimum=0.0, maximum=1.0)
    schedule: Schedule = option(Schedule(), help="of the learning rate")


OWNERS = {"arch": Arch, "train": Training}


@pytest.mark.parametrize(
    ("pair", "field", "value"),
    [
        ("share=0.25", "share", 0.25),
        ("share = 1", "share", 1.0),
        ("rounds=7", "rounds", 7),
        ("tie=accept-equal", "tie", "accept-equal"),
        ("loud=yes", "loud", True),
        ("loud=Off", "loud", False),
        ("title=a=b", "title", "a=b"),
        ("weights=2,1, 0.5", "weights", (2.0, 1.0, 0.5)),
        ("weights=", "weights", ()),
        ("floor=0.1", "floor", 0.1),
        ("floor=none", "floor", None),
        ("colour=green", "colour", "green"),
        ("max-norm=4", "max_norm", 4),
    ],
)
def test_a_pair_sets_one_field(pair: str, field: str, value: object) -> None:
    parsed = parse_options(Everything, [pair], owner="strategy 'x'")
    assert getattr(parsed, field) == value
    assert parsed == Everything(**{field: value})  # type: ignore[arg-type]


def test_without_pairs_there_are_the_defaults() -> None:
    assert parse_options(Everything, [], owner="x") == Everything()


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("share=1.5", "share must be from 0 to 1, received 1.5"),
        ("share=nan", "share must be from 0 to 1, received nan"),
        ("share=half", "share must be a number from 0 to 1, received 'half'"),
        ("rounds=0", "rounds must be 1 or above, received 0"),
        ("rounds=٣", "rounds must be a whole number of 1 or above, received '٣'"),
        ("rounds=2.5", "rounds must be a whole number of 1 or above, received '2.5'"),
        ("tie=loose", "tie must be one of strict, accept-equal, received 'loose'"),
        ("loud=perhaps", "loud must be true or false, received 'perhaps'"),
        ("colour=blue", "colour must be one of red, green, received 'blue'"),
        ("weights=1,two", "weights[1] must be a number, received 'two'"),
        ("weights=1,inf", "weights[1] must be a number, received inf"),
        ("share=1e400", "share must be from 0 to 1, received inf"),
        ("floor=", "floor must be a number, or none, received ''"),
        ("=1", "strategy 'x' has no option ''"),
        ("rounds", "options of strategy 'x' are key=value, received 'rounds'"),
    ],
)
def test_a_value_that_does_not_fit_says_what_was_expected(pair: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_options(Everything, [pair], owner="strategy 'x'")
    assert caught.value.message.startswith(said)


def test_an_unknown_key_lists_the_keys_and_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        parse_options(Everything, ["wieghts=1"], owner="strategy 'x'")
    assert caught.value.message == "strategy 'x' has no option 'wieghts'"
    assert "its options are share, rounds, tie" in caught.value.hint
    assert caught.value.hint.endswith("did you mean weights?")


def test_a_contribution_without_options_says_so() -> None:
    with pytest.raises(UsageError, match="it has no options"):
        parse_options(NoOptions, ["a=1"], owner="strategy 'mean'")


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="given twice"):
        parse_options(Everything, ["rounds=1", "rounds=2"], owner="x")


def test_fields_are_checked_against_one_another() -> None:
    with pytest.raises(UsageError, match="options of x: low 3 is above high 1"):
        parse_options(Ordered, ["low=3"], owner="x")


def test_json_gives_back_what_was_written() -> None:
    options = Everything(share=1.0, weights=(1.0, 2.0), floor=0.25, loud=True)
    assert options_from_mapping(Everything, options_as_json(options), owner="x") == options
    assert options_as_json(options)["weights"] == [1.0, 2.0]


def test_json_numbers_may_lack_or_have_a_point() -> None:
    assert options_from_mapping(Everything, {"share": 1, "rounds": 2.0}, owner="x") == Everything(1.0, 2)


@pytest.mark.parametrize(
    "mapping",
    [
        {"rounds": True},
        {"rounds": "3"},
        {"loud": 1},
        {"weights": 1.0},
        {"share": None},
        {"title": 3},
        {"no": 1},
        {"share": 10**400},
    ],
)
def test_json_of_another_type_is_refused(mapping: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        options_from_mapping(Everything, mapping, owner="x")


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


JOB = Job(
    models=(Ingredient(Path("a.h5")), Ingredient(Path("b.h5"), 2.0)),
    schedule=Schedule(steps=9),
    out=Path("c.h5"),
    convention=Convention("transposed", "standard", "dark", 0.13066048, 0.30810775),
    shares={"emnist": 0.5},
    options={"arch": {"width": 48}},
)


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
        ({"x" * 200: 1}, f"plan has no option '{'x' * 99}…"),
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


def test_nested_options_are_described_by_dotted_names() -> None:
    described = {info.name: info.type for info in describe_options(Training)}
    assert described == {
        "learning_rate": "number",
        "dropout": "number",
        "schedule.warmup": "number",
        "schedule.steps": "whole number",
    }


def test_options_go_to_the_owner_of_the_prefix_or_to_the_only_one_that_has_the_key() -> None:
    routed = route_options(
        ["width=48", "arch.dropout=0.25", "train.schedule.steps=2", "learning-rate=0.01"], OWNERS
    )
    assert routed == {"arch": Arch(48, 0.25), "train": Training(0.01, schedule=Schedule(steps=2))}


def test_options_of_a_file_are_routed_with_and_without_tables() -> None:
    given = {"arch": {"width": 48, "dropout": 0.25}, "learning_rate": 0.01, "train.dropout": 0.1}
    assert route_options(given, OWNERS) == {"arch": Arch(48, 0.25), "train": Training(0.01, 0.1)}


def test_without_options_every_owner_has_its_defaults() -> None:
    assert route_options([], OWNERS) == {"arch": Arch(), "train": Training()}


@pytest.mark.parametrize(
    ("pair", "message", "hint"),
    [
        ("dropout=0.5", "option dropout belongs to arch and train", "write arch.dropout or train.dropout"),
        ("widht=3", "there is no option 'widht'", "did you mean arch.width? the options are arch.width, "),
        ("archi.width=3", "there is no option 'archi.width'", "did you mean arch.width? the options are"),
        ("arch.widht=3", "arch has no option 'widht'", "its options are width, dropout; did you mean width?"),
        ("train.learning_rate=-1", "learning_rate must be 0 or above, received -1.0", "train: highest"),
        ("width", "options are key=value, received 'width'", "-o"),
        ("width=1=2", "width must be a whole number of 1 or above, received '1=2'", "arch: channels"),
    ],
)
def test_an_option_that_cannot_be_routed_is_refused_by_name(pair: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        route_options([pair], OWNERS)
    assert caught.value.message == message
    assert caught.value.hint.startswith(hint)


def test_an_option_is_given_once_with_or_without_its_prefix() -> None:
    with pytest.raises(UsageError, match="given twice"):
        route_options(["width=1", "arch.width=2"], OWNERS)


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
