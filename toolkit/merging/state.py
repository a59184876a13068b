"""What passes through the stages of a merge."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from toolkit.data import Dataset
from toolkit.declarations import Ingredient, MergeResult, MergeStrategy
from toolkit.declarations.options import NoOptions
from toolkit.merging.problems import Problem
from toolkit.merging.recipe import Recipe
from toolkit.merging.relatedness import UnrelatedPair
from toolkit.model import Model
from toolkit.vocabulary import Convention, Progress, SilentProgress, SplitName


@dataclass(frozen=True, slots=True)
class Images:
    """The data set of a merge.

    Attributes:
        reason: Why this one, or why none, as part of a sentence.
        name: Name of the data set; empty if there is none.
        open: Loads a split with labels in the order of the networks' outputs; None without a data set.
    """

    reason: str
    name: str = ""
    open: Callable[[SplitName], Dataset] | None = None


@dataclass(frozen=True, slots=True)
class StageReport:
    """What one stage did.

    Attributes:
        stage: Its name.
        ran: False if it was skipped.
        sentence: What it did, or why it was skipped.
        figures: The same for programs.
    """

    stage: str
    ran: bool
    sentence: str
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MergeState:
    """A merge between two stages.

    Attributes:
        recipe: The whole request.
        strategy: As declared by its plugin.
        options: An instance of its options.
        ingredients: As opened; from the stage conform on with the names and shapes of the first.
        images: The data set.
        unrelated: Pairs of ingredients with nothing in common.
        evaluate: Validation accuracy of a candidate, finished by the later stages; None without images.
        result: From the stage combine on; later stages replace its model.
        reports: What the stages did so far.
        progress: Receives messages.
    """

    recipe: Recipe
    strategy: MergeStrategy
    options: Any
    ingredients: tuple[Ingredient, ...]
    images: Images
    unrelated: tuple[UnrelatedPair, ...] = ()
    evaluate: Callable[[Model], float] | None = None
    result: MergeResult | None = None
    reports: tuple[StageReport, ...] = ()
    progress: Progress = field(default_factory=SilentProgress)

    @property
    def model(self) -> Model:
        """The merged model so far; before the stage combine the first ingredient's."""
        return self.ingredients[0].model if self.result is None else self.result.model

    @property
    def classes(self) -> tuple[str, ...]:
        """Characters by output index; empty if no card names them."""
        return next((item.model.card.classes for item in self.ingredients if item.model.card.classes), ())

    @property
    def convention(self) -> Convention | None:
        """How the models expect their pixels; None if that is unknown."""
        found = (item.model.card.convention for item in self.ingredients)
        return next((convention for convention in found if convention is not None), None)

    def after(
        self, stage: str, sentence: str, model: Model | None = None, *, ran: bool = True, **figures: Any
    ) -> MergeState:
        """The state after a stage, with its report and perhaps another merged model."""
        result = self.result
        if model is not None and result is not None:
            result = dataclasses.replace(result, model=model)
        report = StageReport(stage, ran, sentence, figures)
        return dataclasses.replace(self, result=result, reports=(*self.reports, report))


def _nothing_to_skip(_: MergeState) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a merge: a file in ``toolkit/merging/stages`` and an entry in its list.

    Attributes:
        name: The table ``[stages.NAME]`` of a recipe has its options.
        problems: Everything that prevents the stage, found before any work.
        run: From the state before the stage to the state after it.
        skip: Why there is nothing to do; empty to run.
        options: A dataclass of options.
        finishes_candidates: Whether candidates of a strategy pass through it before they are scored.
    """

    name: str
    problems: Callable[[MergeState], Iterable[Problem]]
    run: Callable[[MergeState], MergeState]
    skip: Callable[[MergeState], str] = _nothing_to_skip
    options: type = NoOptions
    finishes_candidates: bool = False
