"""Making sure, before any work, that models can be merged, and seeing all of them under one's names."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.declarations import Ingredient
from toolkit.merging.conform import FiniteTensors, RenamedTensors, conform, same_weights
from toolkit.merging.problems import Problem
from toolkit.model import Model
from toolkit.model.correspondence import Correspondence, correspondence, differences, signature
from toolkit.tensors import TensorRole, TensorSpec, weights_digest
from toolkit.vocabulary import Convention

_COUNTERS = frozenset({"count", "counter", "iterations", "num_batches_tracked", "seed_counter", "step"})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that was opened and might become an ingredient.

    Attributes:
        name: Unique among the candidates.
        model: As its file has it.
        digest: Its weights digest.
        position: The place in which the user listed it, from 0.
        accuracy: On the validation split, 0 to 1; None where it is not known.
    """

    name: str
    model: Model
    digest: str
    position: int
    accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Matched:
    """Models that can be merged, or the reasons why not.

    Attributes:
        ingredients: The first is the one whose names, wiring and format the merge keeps: the most
            accurate one. Their order does not depend on how they were listed.
        originals: For each ingredient the place of the first one with the same weights: its own,
            unless it is a copy.
        classes: Characters by output index; empty where no card tells them.
        convention: How they want their pixels; None where no card tells it.
        problems: Everything that is in the way; empty if nothing is.
        notes: What is worth knowing and in nobody's way.
    """

    ingredients: tuple[Ingredient, ...]
    originals: tuple[int, ...]
    classes: tuple[str, ...]
    convention: Convention | None
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def candidate(name: str, model: Model, position: int) -> Candidate:
    """Read every tensor of a model once, for its digest and to see that its numbers are numbers.

    Raises:
        UnreadableInputError: If the file cannot be read to its end, or holds NaN or infinities.
    """
    watched = model.with_tensors(FiniteTensors(model.tensors, name))
    digest = weights_digest(watched.tensors)
    kept = dataclasses.replace(watched, path=model.path, dropped=model.dropped)
    return Candidate(name, kept, digest, position, model.card.validation_accuracy)


def printable(name: str) -> str:
    """A file's name with “�” for what a terminal would obey and what no text can hold."""
    return "".join(character if character.isprintable() else "�" for character in name)


def unique_names(models: Sequence[Sequence[str]]) -> list[str]:
    """Short names that tell files apart: the file's own, with as many folders as it takes.

    A file that is given twice gets a number, not its whole path.

    Args:
        models: The parts of each path.
    """
    paths = [tuple(part for part in parts if not part.startswith("/")) for parts in models]
    names = {path: "/".join(path[-1:]) for path in paths}
    for depth in range(2, max(map(len, paths), default=0) + 1):
        counts = Counter(names.values())
        names = {path: "/".join(path[-depth:]) if counts[name] > 1 else name for path, name in names.items()}
    seen: Counter[str] = Counter()
    found: list[str] = []
    for path in paths:
        name = printable(names[path])
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def match(candidates: Sequence[Candidate]) -> Matched:
    """Match models tensor by tensor, and find everything that keeps them from being merged.

    Args:
        candidates: Two or more.

    Returns:
        With problems, the ingredients are those that fit the first one.
    """
    ordered = _in_order(candidates)
    reference = _reference(ordered)
    ordered.sort(key=lambda item: item is not reference)
    place = {item.name: item.position for item in ordered}
    problems: list[Problem] = []
    ingredients: list[Ingredient] = []
    for item in ordered:
        found = correspondence(reference.model, item.model)
        own = list(_problems(item, reference, found))
        problems += own
        if found is not None and not own:
            model = conform(item.model, reference.model, found)
            ingredients.append(Ingredient(item.name, model, item.accuracy, item.digest, item.position))
    cards = [item.model.card for item in ordered]
    classes = next((card.classes for card in cards if card.classes), ())
    convention = next((card.convention for card in cards if card.convention is not None), None)
    originals = _originals(ingredients)
    notes = (*_copies(ingredients, originals), *_unknown(ordered, classes, convention), *_left_out(ordered))
    problems.sort(key=lambda problem: place[problem.model])
    return Matched(tuple(ingredients), originals, classes, convention, tuple(problems), notes)


def _in_order(candidates: Sequence[Candidate]) -> list[Candidate]:
    def key(item: Candidate) -> tuple[float, str, str, int]:
        accuracy = -math.inf if item.accuracy is None else item.accuracy
        return -accuracy, item.digest, item.name, item.position

    return sorted(candidates, key=key)


def _reference(ordered: Sequence[Candidate]) -> Candidate:
    """The first of all; where they are of several kinds, the first named of the commonest kind.

    So one stranger among many is one problem, whatever its place.
    """
    kinds = [signature(item.model) for item in ordered]
    counts = Counter(kinds)
    if len(counts) == 1:
        return ordered[0]
    return max(zip(ordered, kinds, strict=True), key=lambda pair: (counts[pair[1]], -pair[0].position))[0]


def _problems(item: Candidate, reference: Candidate, found: Correspondence | None) -> Iterator[Problem]:
    first = reference.name
    if found is None:
        for text in differences(reference.model, item.model, first):
            yield Problem(item.name, text, "merge networks of one architecture")
        if reference.model.classes != item.model.classes:
            return
    else:
        yield from _unlike_tensors(item, reference, found)
    yield from _unlike_cards(item, reference)


def _unlike_tensors(item: Candidate, reference: Candidate, found: Correspondence) -> Iterator[Problem]:
    for name, own in found.tensors.items():
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
                "merge networks that agree in them",
            )


def is_constant(spec: TensorSpec) -> bool:
    """Whether a tensor holds integers or booleans that a merge copies and that must not differ.

    Generator states and counters of steps differ between trainings for a reason that is known.
    """
    part = spec.name.rpartition("/")[2]
    return not spec.is_float and spec.role is not TensorRole.GENERATOR_STATE and part not in _COUNTERS


def _unlike_cards(item: Candidate, reference: Candidate) -> Iterator[Problem]:
    ours, theirs = reference.model.card, item.model.card
    if ours.classes and theirs.classes and ours.classes != theirs.classes:
        yield Problem(item.name, _unlike_classes(theirs.classes, ours.classes, reference.name))
    if ours.convention is not None and theirs.convention not in (None, ours.convention):
        yield Problem(
            item.name,
            f"wants its pixels {theirs.convention}, {reference.name} wants them {ours.convention}",
            "merge networks that were trained on pixels of one convention",
        )


def _unlike_classes(theirs: Sequence[str], ours: Sequence[str], first: str) -> str:
    if sorted(theirs) == sorted(ours):
        index = next(i for i, (a, b) in enumerate(zip(theirs, ours, strict=True)) if a != b)
        return (
            f"has the classes of {first} in another order: its output {index} is {theirs[index]!r}, "
            f"there it is {ours[index]!r}"
        )
    more, less = sorted({*theirs} - {*ours}), sorted({*ours} - {*theirs})
    parts = [f"{word} {_few(values)}" for word, values in (("has", more), ("lacks", less)) if values]
    return f"tells other classes apart than {first}: " + " and ".join(parts)


def _few(values: Sequence[str]) -> str:
    shown = ", ".join(map(repr, values[:5]))
    return shown if len(values) <= 5 else f"{shown} and {len(values) - 5} more"


def _originals(ingredients: Sequence[Ingredient]) -> tuple[int, ...]:
    """Which ingredients hold the weights of an earlier one, whatever their layers are called."""
    found: list[int] = []
    for index, item in enumerate(ingredients):
        firsts = (place for place in dict.fromkeys(found) if _same(ingredients[place], item))
        found.append(next(firsts, index))
    return tuple(found)


def _same(first: Ingredient, other: Ingredient) -> bool:
    ours, theirs = first.model.tensors, other.model.tensors
    if isinstance(ours, RenamedTensors) or isinstance(theirs, RenamedTensors):
        return same_weights(ours, theirs)
    return first.digest == other.digest


def _copies(ingredients: Sequence[Ingredient], originals: Sequence[int]) -> Iterator[str]:
    for place, first in enumerate(ingredients):
        copies = [
            item.name
            for index, (item, original) in enumerate(zip(ingredients, originals, strict=True))
            if original == place != index
        ]
        if copies:
            verb = "holds" if len(copies) == 1 else "hold"
            yield f"{_listed(copies)} {verb} the same weights as {first.name}: each of them counts"


def _unknown(
    ordered: Sequence[Candidate], classes: tuple[str, ...], convention: Convention | None
) -> Iterator[str]:
    nameless = [item.name for item in ordered if not item.model.card.classes]
    if nameless and classes:
        yield f"{_listed(nameless)}: no card tells the classes; taken to be those of the others"
    if not classes:
        yield "no card tells the classes: the outputs are taken to mean the same in every model"
    blind = [item.name for item in ordered if item.model.card.convention is None]
    if blind and convention is not None:
        yield f"{_listed(blind)}: no card tells the pixels' convention; taken to be {convention}"


def _left_out(ordered: Sequence[Candidate]) -> Iterator[str]:
    """What the files hold that no merge keeps, such as the optimizer's state."""
    owners: dict[str, list[str]] = {}
    for item in ordered:
        for thing in item.model.dropped:
            owners.setdefault(thing, []).append(item.name)
    things: dict[tuple[str, ...], list[str]] = {}
    for thing, names in owners.items():
        things.setdefault(tuple(names), []).append(thing)
    for holders, own in things.items():
        whose = "every model" if len(holders) == len(ordered) else _listed(holders)
        verb = "is" if len(own) == 1 else "are"
        yield f"{' and '.join(own)} of {whose} {verb} left out: a merge keeps only the network"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
