"""Which models belong together, when nobody says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from toolkit.merging.matching import Candidate
from toolkit.model.correspondence import signature
from toolkit.tensors import TensorRole

_NEVER_LEARNT = 0.5


@dataclass(frozen=True, slots=True)
class Family:
    """Models that share topology, classes and convention.

    Attributes:
        members: The best first; fewer than two where no family was found.
        reason: Why these, in one sentence.
        left_out: Name of each model that was not taken, and why.
    """

    members: tuple[Candidate, ...]
    reason: str
    left_out: tuple[tuple[str, str], ...]


def best_family(candidates: Sequence[Candidate]) -> Family:
    """Choose the family of the most accurate model that has relatives to merge with.

    Merged models never take part, for a merge of a merge counts its ingredients twice; neither do
    copies, nor networks that learnt less than half of what the family's best one learnt, which
    would ruin a mean.

    Args:
        candidates: All models at hand; the accuracies come from their cards.
    """
    left_out: list[tuple[str, str]] = []
    usable = list(_usable(candidates, left_out))
    groups: dict[tuple[object, ...], list[Candidate]] = {}
    for item in usable:
        groups.setdefault(_kinship(item), []).append(item)
    families = [members for members in (_worthy(group, left_out) for group in groups.values()) if members]
    families.sort(key=_standing, reverse=True)
    why = "no other model shares its topology, classes and convention"
    left_out += [(family[0].name, why) for family in families if len(family) == 1]
    several = [family for family in families if len(family) > 1]
    if not several:
        reason = "no two models share topology, classes and convention"
        return Family((), reason, tuple(sorted(left_out)))
    chosen, *others = several
    for other in others:
        head, *rest = other
        left_out.append((head.name, f"belongs to another family, with {_listed(rest)}"))
        left_out += [(item.name, f"belongs to the family of {head.name}") for item in rest]
    return Family(tuple(chosen), _reason(chosen, others), tuple(sorted(left_out)))


def _usable(candidates: Sequence[Candidate], left_out: list[tuple[str, str]]) -> Iterator[Candidate]:
    seen: dict[str, str] = {}
    for item in sorted(candidates, key=lambda item: (-_accuracy(item), item.name)):
        if item.model.card.made_by == "merge":
            left_out.append((item.name, "is itself a merge"))
        elif item.digest in seen:
            left_out.append((item.name, f"holds the same weights as {seen[item.digest]}"))
        else:
            seen[item.digest] = item.name
            yield item


def _kinship(item: Candidate) -> tuple[object, ...]:
    """What all members share: what a merge asks for, number types included."""
    card = item.model.card
    types = Counter(
        (spec.role, spec.shape, spec.dtype.str)
        for spec in item.model.tensors.specs.values()
        if spec.role is not TensorRole.GENERATOR_STATE
    )
    return signature(item.model), frozenset(types.items()), card.classes, card.convention


def _worthy(group: Sequence[Candidate], left_out: list[tuple[str, str]]) -> list[Candidate]:
    """The members whose accuracy is known, if two or more are; without those that never learnt."""
    known = [item for item in group if item.accuracy is not None]
    if len(known) < 2:
        return list(group)
    chance = 1.0 / group[0].model.classes
    least = chance + _NEVER_LEARNT * (_accuracy(known[0]) - chance)
    for item in group:
        if item.accuracy is None:
            left_out.append((item.name, "no validation accuracy in its card"))
        elif item.accuracy < least:
            left_out.append((item.name, f"its accuracy is only {100 * item.accuracy:.2f} %"))
    return [item for item in known if _accuracy(item) >= least]


def _standing(family: Sequence[Candidate]) -> tuple[bool, float, int]:
    return len(family) > 1, _accuracy(family[0]), len(family)


def _listed(items: Sequence[Candidate]) -> str:
    first = items[0].name
    return first if len(items) == 1 else f"{first} and {len(items) - 1} more"


def _accuracy(item: Candidate) -> float:
    return -1.0 if item.accuracy is None else item.accuracy


def _reason(chosen: Sequence[Candidate], others: Sequence[Sequence[Candidate]]) -> str:
    count = f"{len(chosen)} models share topology, classes and convention"
    if chosen[0].accuracy is None:
        return f"{count}; none of their cards holds an accuracy"
    best = f"{chosen[0].name} with {100 * chosen[0].accuracy:.2f} % on validation"
    if others:
        rest = "another family" if len(others) == 1 else f"{len(others)} other families"
        return f"{count}; the best of them, {best}, is ahead of {rest}"
    return f"{count}; the best of them is {best}"
