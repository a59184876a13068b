"""Which models belong together, if the user names none."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence

from toolkit.declarations import Ingredient
from toolkit.merging.ingredients import accuracy_of, digest_of
from toolkit.merging.relatedness import unrelated
from toolkit.merging.stages.conform import conform
from toolkit.merging.unification import unified
from toolkit.model.correspondence import correspondence, signature
from toolkit.records import dataclass
from toolkit.tensors import TensorRole
from toolkit.vocabulary import percent

_UNTRAINED = 0.5


@dataclass(frozen=True)
class Family:
    """Related models of one architecture, with the same classes."""

    members: tuple[Ingredient, ...]
    reason: str
    left_out: tuple[tuple[str, str], ...]


def best_family(models: Sequence[Ingredient]) -> Family:
    """Choose the family of the most accurate model that has relatives.

    Merged models are skipped, because a merge of a merge counts its ingredients twice; so are
    copies, models with nothing in common, and models that gained less than half as much over
    chance as the family's best one.
    """
    left_out: list[tuple[str, str]] = []
    groups: dict[tuple[object, ...], list[Ingredient]] = {}
    for item in _usable(models, left_out):
        groups.setdefault(_kind(item), []).append(item)
    trained = [_trained(group, left_out) for group in groups.values()]
    families = [family for group in trained for family in _related(group, left_out)]
    families.sort(key=lambda family: (len(family) > 1, accuracy_of(family[0]), len(family)), reverse=True)
    why = "no related model with its architecture and classes"
    told = {name for name, _ in left_out}
    left_out += [
        (family[0].name, why) for family in families if len(family) == 1 and family[0].name not in told
    ]
    several = [family for family in families if len(family) > 1]
    if not several:
        reason = "no two related models share architecture and classes"
        return Family((), reason, tuple(sorted(left_out)))
    chosen, *others = several
    for head, *rest in others:
        more = f" and {len(rest) - 1} more" if rest[1:] else ""
        left_out.append((head.name, f"belongs to another family, with {rest[0].name}{more}"))
        left_out += [(item.name, f"belongs to the family of {head.name}") for item in rest]
    return Family(tuple(chosen), _reason(chosen, others), tuple(sorted(left_out)))


def _usable(models: Sequence[Ingredient], left_out: list[tuple[str, str]]) -> Iterator[Ingredient]:
    seen: dict[str, str] = {}
    for item in sorted(models, key=lambda item: (-accuracy_of(item), item.name)):
        if item.model.card.made_by == "merge":
            left_out.append((item.name, "already a merge"))
        elif item.digest in seen:
            left_out.append((item.name, f"has the same weights as {seen[item.digest]}"))
        else:
            seen[item.digest] = item.name
            yield item


def _kind(item: Ingredient) -> tuple[object, ...]:
    """What all ingredients of a merge must share, number types included; the rest can be rewritten."""
    card = item.model.card
    types = Counter(
        (spec.role, spec.shape, spec.dtype.str)
        for spec in item.model.tensors.specs.values()
        if spec.role is not TensorRole.GENERATOR_STATE
    )
    return signature(item.model), frozenset(types.items()), tuple(sorted(card.classes))


def _trained(group: Sequence[Ingredient], left_out: list[tuple[str, str]]) -> list[Ingredient]:
    """The members with a known accuracy, if there are two or more; without untrained ones."""
    known = [item for item in group if item.validation_accuracy is not None]
    if len(known) < 2:
        return list(group)
    chance = 1.0 / group[0].model.classes
    least = chance + _UNTRAINED * (accuracy_of(known[0]) - chance)
    for item in group:
        if item.validation_accuracy is None:
            left_out.append((item.name, "no validation accuracy in its card"))
        elif item.validation_accuracy < least:
            left_out.append((item.name, f"its accuracy is only {percent(item.validation_accuracy)}"))
    return [item for item in known if accuracy_of(item) >= least]


def _related(group: list[Ingredient], left_out: list[tuple[str, str]]) -> Iterator[list[Ingredient]]:
    """The group in parts, each with the relatives of its most accurate model."""
    alike = unified(group)
    refused = {problem.model: problem.text for problem in alike.problems}
    rewritten: dict[str, Ingredient] = {}
    digests: dict[str, str] = {}
    for item in alike.ingredients:
        first_of_them = digests.setdefault(digest_of(item), item.name)
        if item.name in refused:
            left_out.append((item.name, refused[item.name]))
        elif first_of_them != item.name:
            left_out.append((item.name, f"has the same weights as {first_of_them}, rewritten"))
        else:
            rewritten[item.name] = item
    group = [item for item in group if item.name in rewritten]
    while group:
        first = rewritten[group[0].name].model
        seen = []
        for item in (rewritten[one.name] for one in group):
            found = correspondence(first, item.model)
            assert found is not None  # the signatures are equal
            seen.append(dataclasses.replace(item, model=conform(item.model, first, found)))
        apart = {pair.other: pair for pair in unrelated(seen)}
        part = [item for item in group if item.name not in apart]
        group = [item for item in group if item.name in apart]
        if len(part) > 1:
            left_out += [(pair.other, pair.sentence) for pair in apart.values() if len(group) == 1]
        yield part


def _reason(chosen: Sequence[Ingredient], others: Sequence[Sequence[Ingredient]]) -> str:
    same = len({item.model.card.convention for item in chosen}) < 2
    shared = "architecture, classes and convention" if same else "architecture and classes"
    count = f"{len(chosen)} related models share {shared}"
    if chosen[0].validation_accuracy is None:
        return f"{count}; no card has an accuracy"
    best = f"{chosen[0].name} with {percent(chosen[0].validation_accuracy)} on validation"
    if others:
        rest = "another family" if len(others) == 1 else f"{len(others)} other families"
        return f"{count}; the best, {best}, is ahead of {rest}"
    return f"{count}; the best is {best}"
