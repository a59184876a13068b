"""Finishing a candidate as it would be handed over, and scoring it on validation images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from toolkit.data import Dataset
from toolkit.declarations import Ingredient, MergeResult
from toolkit.merging.combine import combined, only_ingredient
from toolkit.merging.conform import same_weights
from toolkit.merging.recalibrate import has_batch_statistics, recalibrate
from toolkit.merging.scores import Answers, answers
from toolkit.model import Model
from toolkit.vocabulary import Convention, Progress, SplitName


@dataclass(frozen=True, slots=True)
class _Tried:
    """A candidate that was finished and scored; its model holds only its statistics in memory."""

    result: MergeResult
    model: Model
    answers: Answers

    def is_of(self, result: MergeResult) -> bool:
        """Whether another result makes the same candidate, whatever is noted about it."""
        return self.result.combine is result.combine and self.result.weights == result.weights


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Makes and scores candidates of one merge.

    Attributes:
        ingredients: Conformed to one another.
        strategy: Name of the strategy, for error messages.
        validation: Images to score on; None where there are none.
        calibration: Images to count batch statistics on, (n, 28, 28) uint8; None for no
            recalibration.
        convention: How the networks want their pixels.
        progress: Told of what is scored.
        known: The ingredients' own answers on the validation images, in their order.
        originals: For each ingredient the place of the first one with the same weights.
    """

    ingredients: tuple[Ingredient, ...]
    strategy: str
    validation: Dataset | None
    calibration: NDArray[np.uint8] | None
    convention: Convention
    progress: Progress
    known: tuple[Answers, ...] = ()
    originals: tuple[int, ...] = ()
    _tried: list[_Tried] = field(init=False, default_factory=list, repr=False, compare=False)

    def finish(self, result: MergeResult) -> Model:
        """The candidate as it would be handed over.

        A candidate that is one of the ingredients keeps that one's own statistics, which are right.
        """
        tried = self._already(result)
        return self._finished(result) if tried is None else tried.model

    def _finished(self, result: MergeResult) -> Model:
        model = combined(self.ingredients, result, self.strategy)
        if self.calibration is None or not self.recalibrates(result):
            return model
        return recalibrate(model, self.calibration, self.convention)

    def recalibrates(self, result: MergeResult) -> bool:
        """Whether a candidate's batch statistics are counted anew."""
        statistics = has_batch_statistics(self.ingredients[0].model)
        return self.calibration is not None and statistics and self.alone(result) is None

    def alone(self, result: MergeResult) -> int | None:
        """The place of the one ingredient that the candidate is, alone or as a mean of its copies."""
        alone = only_ingredient(result)
        if alone is not None or not self.originals:
            return alone
        used = {original for original, weight in zip(self.originals, result.weights, strict=True) if weight}
        if len(used) > 1:
            return None
        first = used.pop()
        merged = combined(self.ingredients, result, self.strategy).tensors
        return first if same_weights(merged, self.ingredients[first].model.tensors) else None

    def answers(self, result: MergeResult) -> Answers:
        """What a finished candidate gets right on the validation images; each is looked at once."""
        alone = self.alone(result)
        if alone is not None and self.known:
            return self.known[alone]
        tried = self._already(result)
        if tried is None:
            model = self._finished(result)
            found = answers(model, self._images(), "validation", self.convention)
            tried = _Tried(result, model, found)
            self._tried.append(tried)
        return tried.answers

    def _already(self, result: MergeResult) -> _Tried | None:
        return next((tried for tried in self._tried if tried.is_of(result)), None)

    def accuracy(self, result: MergeResult) -> float:
        """The validation accuracy of a finished candidate, 0 to 1: what strategies select by."""
        found = self.answers(result).score.accuracy
        tried = sum(weight > 0 for weight in result.weights)
        self.progress.note(f"{_counted(tried)}: {100 * found:.2f} % on validation")
        return found

    def with_known(self) -> Evaluator:
        """The same, with every ingredient scored on the validation images."""
        found = measure_all(self.ingredients, self._images(), self.convention, self.progress)
        return dataclasses.replace(self, known=found)

    def _images(self) -> Dataset:
        assert self.validation is not None  # the plan gives an evaluator to nobody without images
        return self.validation


def measure_all(
    ingredients: Sequence[Ingredient],
    dataset: Dataset,
    convention: Convention,
    progress: Progress,
    split: SplitName = "validation",
) -> tuple[Answers, ...]:
    """What each ingredient gets right, as it stands."""
    found: list[Answers] = []
    progress.begin(f"scoring on {split}", len(ingredients), "models")
    for item in ingredients:
        found.append(answers(item.model, dataset, split, convention))
        progress.advance(len(found), f"{item.name} {100 * found[-1].score.accuracy:.2f} %")
    progress.end()
    return tuple(found)


def _counted(models: int) -> str:
    return "the best ingredient alone" if models == 1 else f"the mean of {models}"


def labelled_for(dataset: Dataset, classes: Sequence[str]) -> Dataset | None:
    """The data set with its labels in the order of a network's outputs.

    Returns:
        None where the characters of the two differ.
    """
    if dataset.classes == tuple(classes):
        return dataset
    if sorted(dataset.classes) != sorted(classes):
        return None
    place = np.asarray([list(classes).index(character) for character in dataset.classes], dtype=np.int32)
    return Dataset(dataset.name, tuple(classes), dataset.images, place[np.asarray(dataset.labels)])
