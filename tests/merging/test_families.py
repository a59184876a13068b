"""Which models belong together, when none are named."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from toolkit.declarations import Ingredient
from toolkit.merging.families import best_family
from toolkit.merging.ingredients import ingredient
from toolkit.model import Card
from toolkit.vocabulary import Convention


def model(
    nets: Any,
    name: str,
    accuracy: float | None,
    *,
    value: float | None = None,
    outputs: int = 10,
    dtype: type[np.floating[Any]] = np.float32,
    **card: Any,
) -> Ingredient:
    filled = float(abs(hash_of(name))) if value is None else value
    weights = {"kernel": np.full((2, outputs), filled, dtype), "bias": np.zeros(outputs, dtype)}
    metrics = {} if accuracy is None else {"validation_accuracy": accuracy}
    described = Card(metrics=metrics, classes=tuple("0123456789ABC"[:outputs]), **card)
    return ingredient(name, nets.chain([f"dense_{name}"], [weights], card=described), 0)


def hash_of(name: str) -> int:
    return sum(ord(character) for character in name)


def names(members: tuple[Ingredient, ...]) -> list[str]:
    return [member.name for member in members]


def test_the_family_of_the_best_model_is_taken_best_first(nets: Any) -> None:
    found = best_family(
        [
            model(nets, "old", 0.80),
            model(nets, "small-1", 0.70, outputs=5),
            model(nets, "small-2", 0.71, outputs=5),
            model(nets, "new", 0.85),
        ]
    )
    assert names(found.members) == ["new", "old"]
    assert found.reason == (
        "2 related models share architecture, classes and convention; "
        "the best, new with 85.00 % on validation, is ahead of another family"
    )
    assert dict(found.left_out) == {
        "small-1": "belongs to the family of small-2",
        "small-2": "belongs to another family, with small-1",
    }


def test_models_of_another_number_type_are_no_relatives(nets: Any) -> None:
    half = [model(nets, name, 0.9, dtype=np.float16) for name in ("half-1", "half-2")]
    found = best_family([*half, model(nets, "single-1", 0.8), model(nets, "single-2", 0.8)])
    assert names(found.members) == ["half-1", "half-2"]


def test_the_best_model_without_relatives_is_passed_over(nets: Any) -> None:
    found = best_family([model(nets, "lone", 0.99, outputs=5), model(nets, "a", 0.8), model(nets, "b", 0.7)])
    assert names(found.members) == ["a", "b"]
    assert dict(found.left_out)["lone"] == "no related model with its architecture and classes"


def test_merges_and_copies_never_take_part(nets: Any) -> None:
    a, b = model(nets, "a", 0.8), model(nets, "b", 0.7)
    found = best_family(
        [model(nets, "soup", 0.9, made_by="merge"), a, dataclasses.replace(a, name="a-copy"), b]
    )
    assert names(found.members) == ["a", "b"]
    assert dict(found.left_out) == {"soup": "already a merge", "a-copy": "has the same weights as a"}


def test_conventions_that_cannot_be_rewritten_divide_families(nets: Any) -> None:
    found = best_family(
        [
            model(nets, "a", 0.9, convention=Convention()),
            model(nets, "b", 0.8, convention=Convention("transposed")),
        ]
    )
    assert found.members == ()
    assert found.reason == "no two related models share architecture and classes"
    assert dict(found.left_out)["b"].startswith("expects transposed/unit/light input, not upright/unit/light")


def test_relatives_in_other_orientations_are_one_family(linear: Any) -> None:
    chance = np.random.default_rng(0)
    kernel = chance.normal(size=(784, 3))

    def made(name: str, kernel: Any, convention: Convention) -> Ingredient:
        card = Card(classes=tuple("abc"), convention=convention)
        return ingredient(name, linear(kernel, np.zeros(3), card=card), 0)

    turned = kernel.reshape(28, 28, 3).transpose(1, 0, 2).reshape(784, 3)
    first = made("first", kernel, Convention())
    second = made("second", kernel + 0.1 * chance.normal(size=(784, 3)), Convention())
    tuned = made("tuned", turned + 0.1 * chance.normal(size=(784, 3)), Convention("transposed"))
    copy = made("the-copy", turned, Convention("transposed"))
    found = best_family([first, second, tuned, copy])
    assert set(names(found.members)) == {"first", "second", "tuned"}
    assert found.reason.startswith("3 related models share architecture and classes;")
    assert dict(found.left_out) == {"the-copy": "has the same weights as first, rewritten"}


def test_a_network_that_never_learnt_is_left_out(nets: Any) -> None:
    found = best_family([model(nets, "a", 0.9), model(nets, "b", 0.8), model(nets, "dead", 0.11)])
    assert names(found.members) == ["a", "b"]
    assert dict(found.left_out) == {"dead": "its accuracy is only 11.00 %"}


def test_models_without_an_accuracy_stand_back_where_others_have_one(nets: Any) -> None:
    found = best_family([model(nets, "a", 0.9), model(nets, "b", 0.8), model(nets, "c", None)])
    assert names(found.members) == ["a", "b"]
    assert dict(found.left_out) == {"c": "no validation accuracy in its card"}
    unknown = best_family([model(nets, "b", None), model(nets, "a", None)])
    assert names(unknown.members) == ["a", "b"]
    assert unknown.reason.endswith("no card has an accuracy")


def test_models_with_nothing_in_common_are_no_family(nets: Any) -> None:
    def net(name: str, accuracy: float, direction: int, seed: int) -> Ingredient:
        chance = np.random.default_rng(seed)
        kernel = np.zeros((4, 10))
        kernel[direction] = 1.0
        weights = {
            "kernel": (kernel + 0.05 * chance.normal(size=(4, 10))).astype(np.float32),
            "bias": np.zeros(10, np.float32),
        }
        card = Card(metrics={"validation_accuracy": accuracy}, classes=tuple("0123456789"))
        return ingredient(name, nets.chain([f"dense_{name}"], [weights], card=card), 0)

    a, b, other = net("a", 0.8, 0, 1), net("b", 0.7, 0, 2), net("other", 0.9, 1, 3)
    found = best_family([a, b, other])
    assert names(found.members) == ["a", "b"], "although the other one is the most accurate"
    assert dict(found.left_out) == {"other": "no related model with its architecture and classes"}
    worse = best_family([a, b, net("other", 0.6, 1, 3)])
    assert names(worse.members) == ["a", "b"]
    assert dict(worse.left_out)["other"].startswith("other and a have nothing in common (cosine of kernels")
    assert best_family([a, other]).members == ()


def test_nothing_at_all() -> None:
    assert best_family([]).members == ()
