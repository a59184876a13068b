"""How networks without a card expect their pixels, and whether a stated convention is plausible."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from toolkit.declarations import Ingredient
from toolkit.merging.problems import Problem
from toolkit.model.heads import without_unused
from toolkit.records import dataclass
from toolkit.vocabulary import percent

if TYPE_CHECKING:
    from toolkit.data import Dataset
    from toolkit.engine.conventions import ConventionCheck, ConventionSearch


@dataclass(frozen=True)
class Understood:
    """Ingredients whose convention is known, as far as it can be.

    Attributes:
        ingredients: Without untrained ones.
        untrained: The others, each with the reason.
        notes: What was found.
        doubts: Why the convention of an ingredient is in doubt, and what to do.
    """

    ingredients: tuple[Ingredient, ...]
    untrained: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def understand(ingredients: Sequence[Ingredient], images: Dataset | None) -> Understood:
    """Find the conventions and class orders that no card and no user states, and check the others.

    Args:
        images: Labelled images of the fit split; None if there are none, so that only cards count.
    """
    kept: list[Ingredient] = []
    untrained: list[Problem] = []
    notes: list[str] = []
    doubts: list[str] = []
    for item in ingredients:
        card = item.model.card
        if card.untrained and card.convention is None:
            untrained.append(_untrained(item, "its card says so"))
            continue
        if images is None:
            kept.append(item)
            continue
        if card.convention is None or not card.classes:
            search = _found(item, images)
            if search.certainty == "untrained" and card.convention is None:
                untrained.append(_untrained(item, search.sentence.removeprefix("untrained: ")))
                continue
            if card.convention is None or search.certainty == "certain":
                item = _described(item, search)
                notes += _told(item, search, images, stated=card.convention is not None)
            if card.convention is None:
                kept.append(item)
                if search.certainty == "uncertain":
                    doubts.append(
                        f"{item.name}: input format {search.sentence}; "
                        f"state it with --convention {item.name}=…, or leave the model out"
                    )
                continue
        kept.append(item)
        check = _checked(item, images)
        if check.untrained:
            notes.append(f"{item.name} is untrained: {_nothing(check)}")
        elif doubt := doubt_of(item.name, check):
            doubts.append(doubt)
    return Understood(tuple(kept), tuple(untrained), tuple(notes), tuple(doubts))


def doubt_of(name: str, check: ConventionCheck, file: str = "FILE") -> str:
    """Why a convention that was stated or assumed is in doubt, and what mends it; empty if it is not.

    Args:
        name: What ``--convention`` calls the model.
        file: What ``toolkit models adopt`` calls it.
    """
    better, own = check.better, check.own
    if better is None:
        return ""
    found = f"{name} reads {percent(own.accuracy)} as {own.convention}, {percent(better.accuracy)} as"
    images = f"on {int(better.seen.sum())} images"
    adopt = f"`toolkit models adopt {file}`"
    if better.order.classes != own.order.classes:
        how = f"with its classes in another order ({better.order.how})"
        return f"{found} {better.convention} {how} {images}: run {adopt}"
    return (
        f"{found} {better.convention} {images}: use --convention {name}={better.convention}, or run {adopt}"
    )


def _told(item: Ingredient, search: ConventionSearch, images: Dataset, *, stated: bool) -> Iterator[str]:
    if not stated:
        yield f"{item.name}: input format {search.sentence} of {images.name}"
    if search.best.order.classes != images.classes:
        yield f"{item.name}: classes found in this order: {search.best.order.how}"


def _nothing(check: ConventionCheck) -> str:
    assert check.search is not None  # only a search finds that a network is untrained
    return check.search.sentence.removeprefix("untrained: ")


def _untrained(item: Ingredient, why: str) -> Problem:
    hint = "merge without images with --dataset none, or state the input format with --convention"
    return Problem(item.name, f"untrained: {why}", hint)


def _found(item: Ingredient, images: Dataset) -> ConventionSearch:
    from toolkit.engine.conventions import find_convention

    stated = item.model.card.convention
    return find_convention(item.model, images.images, images.labels, images.classes, convention=stated)


def _checked(item: Ingredient, images: Dataset) -> ConventionCheck:
    from toolkit.engine.conventions import check_convention

    convention = item.model.card.convention
    assert convention is not None  # otherwise it is searched for
    return check_convention(
        item.model,
        images.images,
        images.labels,
        images.classes,
        convention,
        order=item.model.card.classes
        or [""] * (item.model.classes - len(images.classes)) + [*images.classes],
        trusted=item.validation_accuracy is not None,
    )


def _described(item: Ingredient, search: ConventionSearch) -> Ingredient:
    best = search.best
    card = dataclasses.replace(
        item.model.card, classes=best.order.classes, convention=item.model.card.convention or best.convention
    )
    return dataclasses.replace(item, model=without_unused(item.model.with_card(card)))
