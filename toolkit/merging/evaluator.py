"""Finishing a candidate as it would be handed over, and scoring it on validation images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.data import Dataset
from toolkit.merging.combine import combined, only_ingredient
from toolkit.merging.recalibrate import has_batch_statistics, recalibrate
from toolkit.merging.scores import Answers, answers
from toolkit.model import Model
from toolkit.types import Convention, Ingredient, MergeResult, Progress, SplitName


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
    """

    ingredients: tuple[Ingredient, ...]
    strategy: str
    validation: Dataset | None
    calibration: NDArray[np.uint8] | None
    convention: Convention
    progress: Progress
    known: tuple[Answers, ...] = ()

    def finish(self, result: MergeResult) -> Model:
        """The candidate as it would be handed over.

        A candidate that is one of the ingredients keeps that one's own statistics, which are right.
        """
        model = combined(self.ingredients, result, self.strategy)
        if self.calibration is None or not self.recalibrates(result):
            return model
        return recalibrate(model, self.calibration, self.convention)

    def recalibrates(self, result: MergeResult) -> bool:
        """Whether a candidate's batch statistics are counted anew."""
        statistics = has_batch_statistics(self.ingredients[0].model)
        return self.calibration is not None and statistics and only_ingredient(result) is None

    def answers(self, result: MergeResult) -> Answers:
        """What a finished candidate gets right on the validation images."""
        alone = only_ingredient(result)
        if alone is not None and self.known:
            return self.known[alone]
        return answers(self.finish(result), self._images(), "validation", self.convention)

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
