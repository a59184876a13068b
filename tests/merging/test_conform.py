"""Everything that keeps models from being merged is found before any work, and told at once."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from toolkit.declarations import Ingredient
from toolkit.errors import DamagedFileError, IncompatibleModelsError
from toolkit.merging.ingredients import unique_names
from toolkit.merging.problems import Problem, refusal
from toolkit.merging.stages import conform
from toolkit.model import Card
from toolkit.vocabulary import Convention


def weights(value: float, outputs: int = 3, dtype: Any = np.float32) -> dict[str, Any]:
    return {"kernel": np.full((4, outputs), value, dtype), "bias": np.full(outputs, value, dtype)}


def card(classes: str = "", convention: Convention | None = None) -> Card:
    return Card(classes=tuple(classes), convention=convention)


def test_models_are_seen_under_the_first_ones_names(nets: Any) -> None:
    first = nets.chain(["dense"], [weights(1.0)])
    other = nets.chain(["dense_5"], [weights(2.0)])
    before = nets.state(first, other, accuracies=[0.9, 0.8])
    assert list(conform.problems(before)) == []
    found = conform.run(before).ingredients
    assert [item.name for item in found] == ["a", "b"]
    conformed = found[1].model
    assert list(conformed.tensors) == ["dense/kernel", "dense/bias"]
    assert conformed.tensors.read("dense/kernel").tolist() == weights(2.0)["kernel"].tolist()


def test_the_order_does_not_depend_on_how_they_were_listed(nets: Any) -> None:
    models = [nets.chain([f"dense_{value}"], [weights(float(value))]) for value in range(4)]
    before = nets.state(*models, accuracies=[0.5, None, 0.7, None])
    listed = before.ingredients

    def run(order: list[int]) -> list[Ingredient]:
        shuffled = dataclasses.replace(before, ingredients=tuple(listed[i] for i in order))
        return list(conform.run(shuffled).ingredients)

    expected = [item.digest for item in run([0, 1, 2, 3])]
    for order in ([3, 2, 1, 0], [1, 3, 0, 2]):
        assert [item.digest for item in run(order)] == expected
    assert run([0, 1, 2, 3])[0].name == "c", "the most accurate one comes first"


def test_an_order_of_classes_that_cannot_be_changed_is_a_problem_with_the_reason(nets: Any) -> None:
    first = nets.chain(["dense"], [weights(1.0)], card=card("abc"))
    other = nets.chain(["dense"], [weights(2.0)], card=card("acb"))
    (problem,) = conform.problems(nets.state(first, other, accuracies=[0.9, 0.8]))
    assert problem.text == "has its classes in another order: this test runs no network"


def test_other_classes_are_a_problem(nets: Any) -> None:
    first = nets.chain(["dense"], [weights(1.0)], card=card("abc"))
    other = nets.chain(["dense"], [weights(2.0)], card=card("abd"))
    (problem,) = conform.problems(nets.state(first, other, accuracies=[0.9, 0.8]))
    assert problem.text == "has other classes than a: has 'd' and lacks 'c'"


def test_a_convention_that_cannot_be_changed_is_a_problem_with_the_reason(nets: Any) -> None:
    first = nets.chain(["dense"], [weights(1.0)], card=card("abc", Convention()))
    other = nets.chain(["dense"], [weights(2.0)], card=card("abc", Convention("transposed")))
    (problem,) = conform.problems(nets.state(first, other, accuracies=[0.9, 0.8]))
    assert problem.text == (
        "expects transposed/unit/light input, not upright/unit/light: this test runs no network"
    )


def test_a_model_without_a_card_is_taken_to_be_like_the_others(nets: Any) -> None:
    first = nets.chain(["dense"], [weights(1.0)], card=card("abc", Convention()))
    before = nets.state(first, nets.chain(["dense"], [weights(2.0)]))
    assert list(conform.problems(before)) == []
    assert (before.classes, before.convention) == (tuple("abc"), Convention())
    assert list(conform.notes(before)) == [
        "b: no card names the classes; assumed to be those of the others",
        "b: input format unknown; assumed to be upright/unit/light like the others",
        "this test runs no network; the weights were merged without running the network",
    ]
    cards = [item.model.card for item in conform.run(before).ingredients]
    assert {(card.classes, card.convention) for card in cards} == {(tuple("abc"), Convention())}


def test_number_types_must_agree(nets: Any) -> None:
    first = nets.chain(["dense"], [weights(1.0)])
    other = nets.chain(["dense"], [weights(2.0, dtype=np.float16)])
    problems = list(conform.problems(nets.state(first, other, accuracies=[0.9, 0.8])))
    assert [problem.text for problem in problems] == [
        "dense/kernel is float16, a's dense/kernel is float32",
        "dense/bias is float16, a's dense/bias is float32",
    ]


def lookup(nets: Any, table: list[int], state: int, count: int) -> Any:
    return nets.network(
        nets.layer("input", "InputLayer"),
        nets.layer(
            "lookup",
            "Lookup",
            ("input",),
            {
                "table": np.asarray(table, np.int64),
                "count": np.asarray(count, np.int64),
                "seed_generator_state": np.asarray([state, state], np.uint32),
            },
        ),
    )


def test_only_unexplained_integers_are_a_problem(nets: Any) -> None:
    first, same = lookup(nets, [1, 2], 7, 100), lookup(nets, [1, 2], 8, 300)
    assert list(conform.problems(nets.state(first, same))) == []
    other = lookup(nets, [1, 3], 7, 100)
    (problem,) = conform.problems(nets.state(first, other, accuracies=[0.9, 0.8]))
    assert "the integers of lookup/table differ" in problem.text


def test_copies_are_named_whatever_their_layers_are_called(nets: Any) -> None:
    first, copy = nets.chain(["dense"], [weights(1.0)]), nets.chain(["dense_9"], [weights(1.0)])
    found = conform.run(nets.state(first, copy, accuracies=[0.9, 0.8])).ingredients
    assert [item.copy_of for item in found] == ["", "a"]


def test_what_a_merge_does_not_keep_is_said(nets: Any) -> None:
    models = [nets.chain(["dense"], [weights(value)]) for value in (1.0, 2.0, 3.0)]
    optimizer, training = "the optimizer's state", "the training configuration"
    with_state = [
        dataclasses.replace(model, dropped=dropped)
        for model, dropped in zip(models, ((optimizer, training), (optimizer, training), ()), strict=True)
    ]
    noted = list(conform.notes(nets.state(*with_state, accuracies=[0.9, 0.8, 0.7])))
    assert f"{optimizer} and {training} of a, b are left out: a merge keeps only the network" in noted
    noted = list(conform.notes(nets.state(*with_state[:2], accuracies=[0.9, 0.8])))
    assert f"{optimizer} and {training} of every model are left out: a merge keeps only the network" in noted
    noted = list(conform.notes(nets.state(*models, accuracies=[0.9, 0.8, 0.7])))
    assert not any("left out" in note for note in noted)


def test_one_odd_model_among_many_is_the_one_that_is_reported(nets: Any) -> None:
    other = nets.chain(["dense"], [weights(1.0, outputs=5)])
    others = [nets.chain(["dense"], [weights(value)]) for value in (2.0, 3.0, 4.0)]
    problems = list(conform.problems(nets.state(other, *others, accuracies=[0.99, 0.7, 0.6, 0.5])))
    assert {problem.model for problem in problems} == {"a"}


def test_names_are_as_short_as_they_can_be() -> None:
    assert unique_names([("m", "a.h5"), ("m", "b.h5")]) == ["a.h5", "b.h5"]
    assert unique_names([("x", "a.h5"), ("y", "a.h5"), ("y", "b.h5")]) == ["x/a.h5", "y/a.h5", "b.h5"]
    assert unique_names([("x", "a.h5"), ("x", "a.h5")]) == ["a.h5", "a.h5 (2)"]


def test_names_of_endless_paths_are_short_and_found_at_once() -> None:
    assert unique_names([(root, *("d",) * 100_000, "a.h5") for root in "xy"]) == ["a.h5", "a.h5 (2)"]
    names = unique_names([(root, *("d",) * 900, "a.h5") for root in "xy"])
    assert [(len(name), name[:3]) for name in names] == [(300, "x/d"), (300, "y/d")]
    assert unique_names([("/", "x", "a.h5"), ("/", "y", "a.h5"), ("/", "x", "a.h5")]) == [
        "x/a.h5", "y/a.h5", "x/a.h5 (2)",
    ]  # fmt: skip
    assert unique_names([("\x1b[31ma.h5",), ("a\nb.h5",), ("a\tb.h5",)]) == [
        "�[31ma.h5", "a�b.h5", "a�b.h5 (2)",
    ]  # fmt: skip
    assert unique_names([("/", "a.h5"), ("a.h5",), ("x", "a.h5")]) == ["a.h5", "a.h5 (2)", "x/a.h5"]


def test_every_problem_is_listed_in_80_columns() -> None:
    problems = [
        Problem("khanhtran2000-byclass.h5", "lacks msbrdmr-byclass.h5's layer " + "batch_normalization " * 9),
        Problem("khanhtran2000-byclass.h5", "dense/kernel is 128×62, msbrdmr-byclass.h5's is 1600×128"),
        Problem("other.h5", "wants its pixels transposed/unit/light", "train both alike"),
    ]
    error = refusal(problems)
    assert isinstance(error, IncompatibleModelsError)
    assert error.hint == "train both alike"
    assert max(map(len, error.message.splitlines())) <= 80
    assert error.message.startswith(
        "3 problems keep these models from being merged:\n  khanhtran2000-byclass.h5\n"
    )
    assert "    - dense/kernel is 128×62" in error.message


def test_a_long_list_says_how_much_is_left_out() -> None:
    lines = refusal([Problem("a.h5", f"problem {place}") for place in range(30)]).message.splitlines()
    assert lines[-1] == "    - and 24 more"


def test_problems_of_many_models_are_grouped() -> None:
    alike = [
        Problem(f"net-{place}.h5", text)
        for place in range(80)
        for text in ("has 47 outputs, not 62", "dense/kernel is 128×47, not 128×62")
    ]
    others = [Problem(f"odd-{place}.h5", f"layer {place} is missing") for place in range(20)]
    lines = refusal([*others, *alike]).message.splitlines()
    assert lines[0] == "180 problems keep these models from being merged:"
    assert lines[1].startswith("  net-0.h5, net-1.h5, net-2.h5")
    text = "\n".join(lines)
    assert "and 74 more" in text
    assert text.count("has 47 outputs") == 1
    assert lines[-1] == "  and 9 more models with other problems"
    assert len(lines) < 40


def test_a_merge_that_fails_on_damage_alone_exits_as_damaged() -> None:
    damaged = DamagedFileError("b.h5: its SHA-256 differs", hint="bring back a copy")
    error = refusal([Problem.of("b.h5", damaged)])
    assert isinstance(error, DamagedFileError)
    assert (error.message, error.hint) == ("b.h5: its SHA-256 differs", "bring back a copy")
    mixed = refusal([Problem.of("b.h5", damaged), Problem("c.h5", "other")])
    assert isinstance(mixed, IncompatibleModelsError)
