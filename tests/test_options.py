"""Options: one dataclass for the command line, for JSON and for the table in the docs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from toolkit.declarations import NoOptions
from toolkit.errors import ConfigurationError, UsageError
from toolkit.options import describe_options, option, options_as_json, options_from_mapping, parse_options


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
        ("share=1.5", "option share of strategy 'x' is 1.5, expected float from 0 to 1"),
        ("share=nan", "option share of strategy 'x' is nan, expected float"),
        ("share=half", "option share of strategy 'x' is 'half', expected float"),
        ("rounds=0", "option rounds of strategy 'x' is 0, expected int of 1 or above"),
        ("rounds=2.5", "option rounds of strategy 'x' is '2.5', expected int"),
        ("tie=loose", "option tie of strategy 'x' is 'loose', expected one of strict, accept-equal"),
        ("loud=perhaps", "option loud of strategy 'x' is 'perhaps', expected true or false"),
        ("colour=blue", "option colour of strategy 'x' is 'blue', expected one of red, green"),
        ("weights=1,two", "option weights of strategy 'x' is 'two', expected floats, separated by commas"),
        ("share=1e400", "option share of strategy 'x' is inf, expected float from 0 to 1"),
        ("floor=", "option floor of strategy 'x' is '', expected float, or none"),
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
    assert described["floor"].type == "float, or none"
    assert described["weights"].default == []
    assert described["loud"].help == "whether to shout"


def test_a_type_that_options_cannot_have_is_named() -> None:
    @dataclass(frozen=True)
    class Bad:
        table: dict = option(None, help="no")  # type: ignore[type-arg]  # noqa: RUF009

    Bad.__annotations__["table"] = dict
    with pytest.raises(ConfigurationError, match=r"Bad\.table has the type dict"):
        describe_options(Bad)


def test_annotations_must_be_resolvable_at_run_time() -> None:
    @dataclass(frozen=True)
    class Bad:
        value: Nowhere = option(1, help="no")  # type: ignore[name-defined]  # noqa: F821, RUF009

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
