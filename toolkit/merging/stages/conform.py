"""Conform: all ingredients get one convention, one order of classes, and the tensor names of the first."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.declarations import Ingredient
from toolkit.declarations.merged_tensors import is_constant
from toolkit.merging.ingredients import digest_of, in_order
from toolkit.merging.problems import Problem
from toolkit.merging.state import MergeState, Stage
from toolkit.merging.unification import unified
from toolkit.model import Card, Model
from toolkit.model.correspondence import correspondence, differences, signature
from toolkit.tensors import Tensors, weights_digest

_REAL = 64  # images to compare the answers of a rewritten network on


class RenamedTensors(Tensors):
    """The tensors of one network under the names of another one; nothing is read or copied."""

    def __init__(self, below: Tensors, names: Mapping[str, str], reference: Tensors) -> None:
        self._below = below
        self._names = dict(names)
        self._reference = reference
        self.specs = reference.specs

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor, by its new name."""
        own = self._names.get(name)
        return self._reference.read(name) if own is None else self._below.read(own)


def conform(model: Model, reference: Model, found: Mapping[str, str]) -> Model:
    """The model with the reference's names and graph, and its own card and path."""
    if all(name == own for name, own in found.items()) and model.tensors.specs.keys() == (
        reference.tensors.specs.keys()
    ):
        return model
    renamed = RenamedTensors(model.tensors, found, reference.tensors)
    return dataclasses.replace(
        reference, tensors=renamed, card=model.card, path=model.path, dropped=model.dropped
    )


def problems(state: MergeState) -> Iterator[Problem]:
    """Every difference that prevents a merge, by model, in the order in which they were named."""
    alike = unified(state.ingredients)
    yield from alike.problems
    refused = {problem.model for problem in alike.problems}
    ordered = in_order(alike.ingredients)
    if len(ordered) < 2:
        return
    reference = ordered[0]
    matched = _matched(reference, ordered)
    if any(found is None for _, found in matched):
        reference = _reference(ordered)
        matched = _matched(reference, ordered)
    for item, found in matched:
        if found is None:
            for text in differences(reference.model, item.model, reference.name):
                yield Problem(item.name, text, "merge networks of one architecture")
            if reference.model.classes != item.model.classes:
                continue
        else:
            yield from _unlike_tensors(item, reference, found)
        if item.name not in refused:
            for text in class_differences(item.model.card, reference.model.card, reference.name):
                yield Problem(item.name, text, "merge networks of the same classes")


def unify(state: MergeState) -> MergeState:
    """Rewrite ingredients of another convention or order of classes, and compare their answers.

    Raises:
        ProofError: If a rewritten network gives other answers.
    """
    found = unified(state.ingredients)
    for before, after in zip(state.ingredients, found.ingredients, strict=True):
        if before.model.card.convention != after.model.card.convention:
            from toolkit.engine.agreement import require_agreement

            real = None if state.images.open is None else state.images.open("validation").images[:_REAL]
            require_agreement(before.model, after.model, real)
    return dataclasses.replace(
        state, ingredients=found.ingredients, rewritten=(*state.rewritten, *found.sentences)
    )


def run(state: MergeState) -> MergeState:
    """Order the ingredients, the most accurate first, and give all of them the names of the first."""
    first, *others = in_order(state.ingredients)
    conformed = [first]
    renamed = 0
    for item in others:
        found = correspondence(first.model, item.model)
        assert found is not None  # the plan refuses networks that do not correspond
        model = conform(item.model, first.model, found)
        renamed += model is not item.model
        conformed.append(dataclasses.replace(item, model=model))
    ingredients: list[Ingredient] = []
    originals: dict[str, str] = {}
    for item in conformed:
        card = dataclasses.replace(item.model.card, convention=state.convention, classes=state.classes)
        digest = weights_digest(item.model.tensors) if renamed else digest_of(item)
        copy_of = originals.setdefault(digest, item.name)
        copy_of = "" if copy_of == item.name else copy_of
        ingredients.append(dataclasses.replace(item, model=item.model.with_card(card), copy_of=copy_of))
    sentence = f"tensor names are those of {first.name}" if renamed else "tensor names are equal"
    state = dataclasses.replace(state, ingredients=tuple(ingredients))
    if state.rewritten:
        sentences = "; ".join((*state.rewritten, sentence))
        return state.after("conform", sentences, rewritten=list(state.rewritten))
    return state.after("conform", sentence)


def notes(state: MergeState) -> Iterator[str]:
    """What is assumed about models without a card, and what a merge does not keep."""
    ordered = in_order(state.ingredients)
    nameless = [item.name for item in ordered if not item.model.card.classes]
    if not state.classes:
        yield "no card names the classes: the outputs are assumed to mean the same in every model"
    elif nameless:
        yield f"{', '.join(nameless)}: no card names the classes; assumed to be those of the others"
    blind = [item.name for item in ordered if item.model.card.convention is None]
    if blind and state.convention is not None:
        yield f"{', '.join(blind)}: input format unknown; assumed to be {state.convention} like the others"
    refusal = ordered[0].model.describe_graph().refusal if ordered else None
    if refusal is not None:
        yield f"{refusal.message}; the weights were merged without running the network"
    yield from _dropped(ordered)


def _matched(
    reference: Ingredient, ordered: Sequence[Ingredient]
) -> list[tuple[Ingredient, Mapping[str, str] | None]]:
    """The others, as they were named, with their tensors of the reference's; None for another network."""
    others = sorted((item for item in ordered if item is not reference), key=lambda item: item.position)
    return [(item, correspondence(reference.model, item.model)) for item in others]


def _reference(ordered: Sequence[Ingredient]) -> Ingredient:
    """The first named of the most common kind: one different network among many is one problem."""
    kinds = [signature(item.model) for item in ordered]
    counts = Counter(kinds)
    return max(zip(ordered, kinds, strict=True), key=lambda pair: (counts[pair[1]], -pair[0].position))[0]


def _unlike_tensors(item: Ingredient, reference: Ingredient, found: Mapping[str, str]) -> Iterator[Problem]:
    for name, own in found.items():
        ours, theirs = reference.model.tensors.specs[name], item.model.tensors.specs[own]
        if ours.dtype != theirs.dtype:
            yield Problem(
                item.name,
                f"{own} is {theirs.dtype}, {reference.name}'s {name} is {ours.dtype}",
                "save the models with the same number type",
            )
        elif is_constant(ours) and not np.array_equal(
            reference.model.tensors.read(name), item.model.tensors.read(own)
        ):
            yield Problem(
                item.name,
                f"the integers of {own} differ from {reference.name}'s {name}: they cannot be averaged",
                "merge networks with equal integers",
            )


def card_differences(theirs: Card, ours: Card, first: str) -> Iterator[str]:
    """How a model's card differs from that of the model ``first``, which is ``ours``."""
    yield from class_differences(theirs, ours, first)
    if ours.convention is not None and theirs.convention not in (None, ours.convention):
        yield f"expects {theirs.convention} input, {first} expects {ours.convention}"


def class_differences(theirs: Card, ours: Card, first: str) -> Iterator[str]:
    """How the classes in two cards differ."""
    if ours.classes and theirs.classes and ours.classes != theirs.classes:
        yield _unlike_classes(theirs.classes, ours.classes, first)


def _unlike_classes(theirs: Sequence[str], ours: Sequence[str], first: str) -> str:
    if sorted(theirs) == sorted(ours):
        index = next(i for i, (a, b) in enumerate(zip(theirs, ours, strict=True)) if a != b)
        return (
            f"has the classes of {first} in another order: its output {index} is {theirs[index]!r}, "
            f"there it is {ours[index]!r}"
        )
    more, less = sorted({*theirs} - {*ours}), sorted({*ours} - {*theirs})
    parts = [f"{word} {_few(values)}" for word, values in (("has", more), ("lacks", less)) if values]
    return f"has other classes than {first}: " + " and ".join(parts)


def _few(values: Sequence[str]) -> str:
    shown = ", ".join(map(repr, values[:5]))
    return shown if len(values) <= 5 else f"{shown} and {len(values) - 5} more"


def _dropped(ordered: Sequence[Ingredient]) -> Iterator[str]:
    """What the files have that no merge keeps, such as the optimizer's state."""
    owners: dict[str, list[str]] = {}
    for item in ordered:
        for thing in item.model.dropped:
            owners.setdefault(thing, []).append(item.name)
    things: dict[tuple[str, ...], list[str]] = {}
    for thing, names in owners.items():
        things.setdefault(tuple(names), []).append(thing)
    for holders, own in things.items():
        whose = "every model" if len(holders) == len(ordered) else ", ".join(holders)
        verb = "is" if len(own) == 1 else "are"
        yield f"{' and '.join(own)} of {whose} {verb} left out: a merge keeps only the network"


STAGE = Stage("conform", problems, run)
