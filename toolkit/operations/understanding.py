"""How networks without a card expect their pixels, and whether a stated convention is plausible."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
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
    findings = _Findings(images)
    for item in ingredients:
        findings.add(item)
    return Understood(
        tuple(findings.kept), tuple(findings.untrained), tuple(findings.notes), tuple(findings.doubts)
    )


class _Findings:
    """What is found about one ingredient after the other."""

    def __init__(self, images: Dataset | None) -> None:
        self._images = images
        self.kept: list[Ingredient] = []
        self.untrained: list[Problem] = []
        self.notes: list[str] = []
        self.doubts: list[str] = []

    def add(self, item: Ingredient) -> None:
        card, images = item.model.card, self._images
        if card.untrained and card.convention is None:
            self._leave_out(item, "its card says so")
        elif images is None:
            self.kept.append(item)
        elif card.convention is None:
            self._find(item, images)
        else:
            self._check(item if card.classes else self._ordered(item, images), images)

    def _find(self, item: Ingredient, images: Dataset) -> None:
        """Convention and class order that nothing states."""
        search = _search(item, images)
        if search.certainty == "untrained":
            self._leave_out(item, search.sentence.removeprefix("untrained: "))
            return
        self.kept.append(_described(item, search))
        self.notes.append(f"{item.name}: input format {search.sentence} of {images.name}")
        if search.best.order.classes != images.classes:
            self.notes.append(f"{item.name}: classes found in this order: {search.best.order.how}")
        if search.certainty == "uncertain":
            self.doubts.append(
                f"{item.name}: input format {search.sentence}; "
                f"state it with --convention {item.name}=…, or leave the model out"
            )

    def _ordered(self, item: Ingredient, images: Dataset) -> Ingredient:
        """With the class order that is found under the stated convention, if the network reads with it."""
        search = _search(item, images)
        if search.certainty != "certain":
            return item
        if search.best.order.classes != images.classes:
            self.notes.append(f"{item.name}: classes found in this order: {search.best.order.how}")
        return _described(item, search)

    def _check(self, item: Ingredient, images: Dataset) -> None:
        """A convention that is stated."""
        from toolkit.engine.conventions import check_convention

        model = item.model
        assert model.card.convention is not None  # otherwise it is searched for
        check = check_convention(
            model,
            images.images,
            images.labels,
            images.classes,
            model.card.convention,
            order=model.card.classes or ("",) * (model.classes - len(images.classes)) + images.classes,
            trusted=item.validation_accuracy is not None,
        )
        self.kept.append(item)
        if check.search is not None and check.untrained:
            self.notes.append(f"{item.name} is {check.search.sentence}")
        elif doubt := doubt_of(item.name, check, str(model.path or item.name)):
            self.doubts.append(doubt)

    def _leave_out(self, item: Ingredient, why: str) -> None:
        hint = "merge without images with --dataset none, or state the input format with --convention"
        self.untrained.append(Problem(item.name, f"untrained: {why}", hint))


def _search(item: Ingredient, images: Dataset) -> ConventionSearch:
    from toolkit.engine.conventions import find_convention

    stated = item.model.card.convention
    return find_convention(item.model, images.images, images.labels, images.classes, convention=stated)


def _described(item: Ingredient, search: ConventionSearch) -> Ingredient:
    best = search.best
    card = dataclasses.replace(
        item.model.card, classes=best.order.classes, convention=item.model.card.convention or best.convention
    )
    return dataclasses.replace(item, model=without_unused(item.model.with_card(card)))


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
