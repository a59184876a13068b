"""Options: one dataclass for the command line and for JSON, and whose option a key is."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from options_examples import OWNERS, Arch, Everything, Schedule, Training

from toolkit.declarations import NoOptions
from toolkit.errors import UsageError
from toolkit.options import (
    option,
    options_as_json,
    options_from_mapping,
    parse_options,
    route_options,
)


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
        ("max-norm=-4", "max_norm", -4),
        ("weights=.5,1.,2e-1,-1E+1", "weights", (0.5, 1.0, 0.2, -10.0)),
        ("title=\udcff", "title", "\udcff"),
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
        ("share=nan", "share must be a number from 0 to 1, received 'nan'"),
        ("share=half", "share must be a number from 0 to 1, received 'half'"),
        ("rounds=0", "rounds must be 1 or above, received 0"),
        ("rounds=٣", "rounds must be a whole number of 1 or above, received '٣'"),
        ("rounds=2.5", "rounds must be a whole number of 1 or above, received '2.5'"),
        ("tie=loose", "tie must be one of strict, accept-equal, received 'loose'"),
        ("loud=perhaps", "loud must be true or false, received 'perhaps'"),
        ("colour=blue", "colour must be one of red, green, received 'blue'"),
        ("weights=1,two", "weights[1] must be a number, received 'two'"),
        ("weights=1,inf", "weights[1] must be a number, received 'inf'"),
        ("rounds=1_0", "rounds must be a whole number of 1 or above, received '1_0'"),
        ("rounds=+5", "rounds must be a whole number of 1 or above, received '+5'"),
        ("rounds=5\n", "rounds must be a whole number of 1 or above, received '5\\n'"),
        ("rounds=5\xa0", "rounds must be a whole number of 1 or above, received '5\\xa0'"),
        ("share=0_1.5", "share must be a number from 0 to 1, received '0_1.5'"),
        ("weights=1,\udcff", "weights[1] must be a number, received '\\udcff'"),
        ("rounds=\udcff", "rounds must be a whole number of 1 or above, received '\\udcff'"),
        ("loud=\udcff", "loud must be true or false, received '\\udcff'"),
        ("tie=\udcff", "tie must be one of strict, accept-equal, received '\\udcff'"),
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
