"""Finding out how a network expects its pixels, by trying conventions on labelled images."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from toolkit.engine.class_orders import ClassOrder, found_order, known_orders
from toolkit.engine.network import Network
from toolkit.engine.session import usable_processors
from toolkit.engine.usual_conventions import MNIST_SCALE, kind_of, rarity, standardised, usual
from toolkit.errors import UnreadableInputError, UsageError
from toolkit.model import Model
from toolkit.records import dataclass
from toolkit.vocabulary import Convention, percent

IMAGES = 500
"""Images on which candidates are compared."""

PLAUSIBLE = 0.5
"""Accuracy, 0 to 1, from which on a network is believed to read its input as intended."""

MUCH = 0.1
"""Gain of accuracy, 0 to 1, by which another convention puts the assumed one in doubt."""

_WELL_READ = 0.8
_FIRST_IMAGES = 160
_FAR = 0.3  # loss of accuracy that no other mean and deviation makes good
_KEPT = 4  # candidates of the first round that go into the second
_LEARNT = 0.15  # share of the way from chance to 1 that an untrained network does not reach
_ERRORS_OF_LEARNT = 5.0  # standard errors above chance that an untrained network does not reach
_ERRORS = 2.0  # standard errors of a difference that is no chance
_ERRORS_OF_RARE = 3.0  # the same if the better convention is a rarer one
_LOSS_OF_RARE = 0.3  # how much lower the log loss of a rarer convention must be, for each step of rarity
_LOSS_APART = 1.5  # ratio of log losses that tells two conventions apart
_MOST = 0.8  # share of the outputs that a class order must name
_LABELLED = 6  # images of each class for finding a class order
_LEAST_PROBABILITY = 1e-7
_OTHER_CASE = 0.1  # what an order without the other case must gain to be preferred

Certainty = Literal["certain", "uncertain", "untrained"]


@dataclass(frozen=True)
class Candidate:
    """One convention with the class order that fits best under it.

    Attributes:
        accuracy: Share of correct answers, 0 to 1, on the images of the order's characters.
        log_loss: Mean negative natural logarithm of the true class's probability.
        chance: Accuracy of always answering with the most frequent class, 0 to 1.
        right: (images,) bool, whether each image was read correctly; ``seen`` is whether the
            network has its class.
    """

    convention: Convention
    order: ClassOrder
    accuracy: float
    log_loss: float
    chance: float
    right: NDArray[np.bool_]
    seen: NDArray[np.bool_]


@dataclass(frozen=True)
class ConventionSearch:
    """What was found out about a network's input.

    Attributes:
        certainty: ``certain`` if the best candidate reads half of the images or more, and is better than
            those of another orientation or ink; ``untrained`` if no candidate is better than chance;
            else ``uncertain``.
        candidates: The best first.
        lead: Accuracy of the best candidate minus that of the next one with another orientation, scale
            or ink; ``lead_error`` is its standard error. NaN if there is no other one.
    """

    certainty: Certainty
    candidates: tuple[Candidate, ...]
    lead: float
    lead_error: float

    @property
    def best(self) -> Candidate:
        """The best candidate."""
        return self.candidates[0]

    @property
    def images(self) -> int:
        """Number of images of the best candidate's classes."""
        return int(self.best.seen.sum())

    @property
    def next(self) -> Candidate | None:
        """The best candidate with another orientation, scale or ink."""
        kind = kind_of(self.best.convention)
        return next((one for one in self.candidates if kind_of(one.convention) != kind), None)

    @property
    def sentence(self) -> str:
        """What was found and how certain it is, for a person."""
        best, other = self.best, self.next
        figures = f"{percent(best.accuracy)} on {self.images} images"
        if self.certainty == "untrained":
            most = percent(max(one.accuracy for one in self.candidates))
            chance = percent(best.chance)
            return (
                f"untrained: no convention gives more than {most} on {self.images} images, chance is {chance}"
            )
        sentence = f"{best.convention} ({self.certainty}): {figures}"
        if other is None:
            return sentence
        return (
            f"{sentence}, {other.convention} {percent(other.accuracy)}, "
            f"difference {100 * self.lead:.1f} ± {100 * self.lead_error:.1f} points"
        )


@dataclass(frozen=True)
class ConventionCheck:
    """The stated or assumed convention of a network, and what a search found if it reads little.

    Attributes:
        own: The convention that was stated or assumed.
        search: None if its accuracy is plausible.
    """

    own: Candidate
    search: ConventionSearch | None = None

    @property
    def better(self) -> Candidate | None:
        """A candidate that reads much more; None if there is none."""
        if self.search is None or self.search.certainty == "untrained":
            return None
        best = self.search.best
        if kind_of(best.convention) == kind_of(self.own.convention) and best.order == self.own.order:
            return None
        return best if best.accuracy >= self.own.accuracy + MUCH else None

    @property
    def untrained(self) -> bool:
        """Whether the network reads nothing under any convention."""
        return self.search is not None and self.search.certainty == "untrained"


def find_convention(
    model: Model,
    images: NDArray[np.uint8],
    labels: NDArray[np.int32],
    classes: Sequence[str],
    *,
    convention: Convention | None = None,
) -> ConventionSearch:
    """Find out orientation, scale, ink and class order of a network, in about a second.

    Candidates are compared by accuracy; those within one standard error of the best one by log loss.
    A rarer scale must be better by three standard errors, or have a log loss that is a third lower.
    If the model's card names its classes, their order is taken from it.

    Args:
        model: A network for characters.
        images: (n, 28, 28) uint8, upright, light ink; a few hundred of them are drawn.
        labels: (n,) index into ``classes``.
        classes: Characters by label.
        convention: If it is known, so that only the class order is searched for.

    Raises:
        UnsupportedError: If the network cannot be run on characters.
        UnreadableInputError: If it returns NaN or infinity under every convention.
        UsageError: If no image shows a class that the network could have.
    """
    return _Search(model, images, labels, tuple(classes), convention).result()


def check_convention(
    model: Model,
    images: NDArray[np.uint8],
    labels: NDArray[np.int32],
    classes: Sequence[str],
    convention: Convention,
    *,
    order: Sequence[str] = (),
    trusted: bool = False,
) -> ConventionCheck:
    """Compare a stated or assumed convention with the others, if its accuracy is implausibly low.

    Args:
        order: The assumed characters by output; by default those of the model's card.
        trusted: Whether somebody has measured the network under this convention; then only an accuracy
            below one half is implausible, else one below 0.8.

    Other arguments and errors as of :func:`find_convention`.
    """
    assumed = ClassOrder(tuple(order or model.card.classes), "assumed")
    stated = model.with_card(dataclasses.replace(model.card, classes=assumed.classes))
    own = _Search(stated, images, labels, tuple(classes), convention).result().best
    if own.accuracy >= (PLAUSIBLE if trusted else _WELL_READ):
        return ConventionCheck(own)
    return ConventionCheck(own, find_convention(model, images, labels, classes))


def difference(first: Candidate, other: Candidate) -> tuple[float, float]:
    """The difference in accuracy on the images that both have classes for, and its standard error."""
    both = first.seen & other.seen
    count = int(both.sum())
    if not count:
        return first.accuracy - other.accuracy, math.inf
    gains = first.right[both].astype(np.float64) - other.right[both]
    return float(gains.mean()), float(gains.std() / math.sqrt(count))


class _Search:
    def __init__(
        self,
        model: Model,
        images: NDArray[np.uint8],
        labels: NDArray[np.int32],
        classes: tuple[str, ...],
        convention: Convention | None,
    ) -> None:
        self._network = Network.of(model, threads=usable_processors())
        self._classes = classes
        self._stated = convention
        if model.card.classes:
            self._orders: tuple[ClassOrder, ...] = (ClassOrder(model.card.classes, "the card's order"),)
        else:
            self._orders = known_orders(model.classes, classes)
        wanted = {
            label for order in self._orders for label in np.flatnonzero(order.outputs(classes) >= 0).tolist()
        }
        self._searched = not model.card.classes
        self._all_images, self._all_labels = images, labels
        every = range(len(classes)) if self._searched and not wanted else sorted(wanted)
        self._images, self._labels = self._drawn(every)

    def _drawn(self, wanted: Sequence[int], most: int = 4) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """As many images of each label, mixed so that any beginning has about as many of each."""
        chance = np.random.default_rng(0)
        by_label = [np.flatnonzero(self._all_labels == label) for label in wanted]
        by_label = [chance.permutation(places) for places in by_label if len(places)]
        if not by_label:
            raise UsageError("no image shows a class of the network", hint="choose another data set")
        rounds = range(max(most, -(-IMAGES // len(by_label))))
        chosen = [places[turn] for turn in rounds for places in by_label if turn < len(places)]
        places = np.asarray(chosen[: max(IMAGES, most * len(by_label))])
        return np.asarray(self._all_images[places]), np.asarray(self._all_labels[places])

    def result(self) -> ConventionSearch:
        """Two rounds with the usual class orders, and one that finds the order if none of them fits."""
        candidates = self._ranked(self._two_rounds()) if self._orders else []
        if self._searched and (not candidates or candidates[0].accuracy < PLAUSIBLE):
            found = self._with_found_orders()
            if found and (not candidates or found[0].accuracy > candidates[0].accuracy + MUCH):
                candidates = found
        if not candidates:
            raise UnreadableInputError(
                f"{self._network.name}: its outputs are NaN or infinite under every convention",
                hint="its weights are damaged, or its training diverged",
            )
        return _judged(candidates)

    def compared(self, conventions: Iterable[Convention], *, first: int | None = None) -> list[Candidate]:
        """The conventions with their best class orders, on all or the first images."""
        return [
            candidate
            for convention in conventions
            if (candidate := self._candidate(convention, self._orders, first)) is not None
        ]

    def _two_rounds(self) -> list[Candidate]:
        if self._stated is not None:
            return self.compared([self._stated])
        tried = self._ranked(self.compared(usual(), first=_FIRST_IMAGES))
        promising = [one.convention for one in tried[:_KEPT]]
        if tried and _has_learnt(tried[0]) and self._may_be_standardised(tried):
            promising += standardised(tried[0].convention, self._images)
        return self.compared(dict.fromkeys(promising))

    @staticmethod
    def _may_be_standardised(tried: Sequence[Candidate]) -> bool:
        """Whether other means and deviations could be better than the best candidate."""
        near = tried[0].accuracy - _FAR
        return tried[0].accuracy < PLAUSIBLE or any(
            one.accuracy >= near for one in tried if one.convention.scale == "standard"
        )

    def _candidate(
        self, convention: Convention, orders: Sequence[ClassOrder], first: int | None = None
    ) -> Candidate | None:
        probabilities = self._probabilities(convention, first)
        if probabilities is None:
            return None
        labels = self._labels[:first]
        scored = [_scored(convention, order, probabilities, labels, self._classes) for order in orders]
        return max(
            (one for one in scored if one.seen.any()),
            key=lambda one: one.accuracy - (0 if one.order.both_cases else _OTHER_CASE),
            default=None,
        )

    def _probabilities(self, convention: Convention, first: int | None = None) -> NDArray[np.float32] | None:
        """Of all or the first images; None if some are NaN or infinite, so that it is not the right one."""
        with np.errstate(all="ignore"):
            try:
                return self._network.probabilities(self._images[:first], convention)
            except UnreadableInputError:
                return None

    def _with_found_orders(self) -> list[Candidate]:
        """Candidates with the order that one half of the images shows, scored on the other half."""
        self._images, self._labels = self._drawn(range(len(self._classes)), most=_LABELLED)
        found = []
        for convention in [self._stated] if self._stated is not None else usual((MNIST_SCALE,)):
            answers = self._probabilities(convention)
            if answers is None:
                continue
            found += [self._cross_fitted(convention, answers, both_cases=both) for both in (True, False)]
        return self._ranked([one for one in found if one.accuracy >= PLAUSIBLE and self._is_whole(one.order)])

    def _is_whole(self, order: ClassOrder) -> bool:
        """Whether most outputs have a class, or most classes an output."""
        named = sum(map(bool, order.classes))
        return named >= _MOST * min(len(order.classes), len(self._classes))

    def _cross_fitted(
        self, convention: Convention, probabilities: NDArray[np.float32], *, both_cases: bool
    ) -> Candidate:
        answers, labels = probabilities.argmax(axis=1), self._labels
        count = self._network.classes
        half = np.arange(len(labels)) // len(np.unique(labels)) % 2 == 0
        right, seen = np.zeros((2, len(labels)), np.bool_)
        for fit, confirm in ((half, ~half), (~half, half)):
            order = found_order(answers[fit], labels[fit], count, self._classes, both_cases=both_cases)
            one = _scored(convention, order, probabilities[confirm], labels[confirm], self._classes)
            right[confirm], seen[confirm] = one.right, one.seen
        order = found_order(answers, labels, count, self._classes, both_cases=both_cases)
        whole = _scored(convention, order, probabilities, labels, self._classes)
        accuracy = float(right[seen].mean()) if seen.any() else 0.0
        return Candidate(convention, order, accuracy, whole.log_loss, whole.chance, right, seen)

    @staticmethod
    def _ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
        """By accuracy; before that, those that are as good, by log loss, the usual ones first."""
        ranked = sorted(candidates, key=lambda one: (-one.accuracy, one.log_loss))
        close = []
        for one in ranked:
            lead, error = difference(ranked[0], one)
            more_usual = rarity(one.convention) < rarity(ranked[0].convention)
            if lead <= (_ERRORS_OF_RARE if more_usual else 1.0) * error:
                close.append(one)
        close.sort(key=lambda one: one.log_loss * (1 + _LOSS_OF_RARE * rarity(one.convention)))
        return [*close, *(one for one in ranked if all(one is not other for other in close))]


def _judged(candidates: Sequence[Candidate]) -> ConventionSearch:
    best = candidates[0]
    own = best.convention
    other = next((one for one in candidates if kind_of(one.convention) != kind_of(own)), None)
    lead, error = (math.nan, math.nan) if other is None else difference(best, other)
    # Another scale that serves as well does no harm; another orientation or ink cannot be right, too.
    rivals = [
        one
        for one in candidates
        if (one.convention.orientation, one.convention.ink) != (own.orientation, own.ink)
        and not _is_apart(best, one)
    ]
    certainty: Certainty = "uncertain" if rivals or best.accuracy < PLAUSIBLE else "certain"
    if not _has_learnt(best):
        certainty = "untrained"
    return ConventionSearch(certainty, tuple(candidates), lead, error)


def _is_apart(best: Candidate, other: Candidate) -> bool:
    lead, error = difference(best, other)
    return lead > _ERRORS * error or best.log_loss * _LOSS_APART < other.log_loss


def _has_learnt(best: Candidate) -> bool:
    """Whether a network does better than networks with shuffled weights.

    Of those, under their best conventions, none was more than 0.09 of the way from chance to 1, nor
    both twice as good as chance and more than 4.6 standard errors better.
    """
    images, chance = int(best.seen.sum()), best.chance
    errors = (best.accuracy - chance) / math.sqrt(max(chance * (1 - chance), 1e-9) / images)
    return best.accuracy >= chance + _LEARNT * (1 - chance) or (
        errors > _ERRORS_OF_LEARNT and best.accuracy >= 2 * chance
    )


def _scored(
    convention: Convention,
    order: ClassOrder,
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int32],
    classes: Sequence[str],
) -> Candidate:
    truth = order.outputs(classes)[labels]
    seen = truth >= 0
    used = np.asarray([bool(name) for name in order.classes])
    # What an unused output says does not count: its probability is spread over the others.
    shares = np.where(used, probabilities, 0).astype(np.float64)
    right = (shares.argmax(axis=1) == truth) & seen
    if not seen.any():
        return Candidate(convention, order, 0.0, math.inf, 1.0, right, seen)
    total = np.maximum(shares[seen].sum(axis=1), _LEAST_PROBABILITY)
    of_truth = shares[seen, truth[seen]] / total
    log_loss = float(-np.log(np.clip(of_truth, _LEAST_PROBABILITY, 1.0)).mean())
    chance = float(np.bincount(truth[seen]).max() / seen.sum())
    return Candidate(convention, order, float(right[seen].mean()), log_loss, chance, right, seen)
