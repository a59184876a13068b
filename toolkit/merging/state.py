"""What passes through the stages of a merge."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Any

from toolkit.data import Dataset
from toolkit.declarations import Ingredient, MergeResult, MergeStrategy
from toolkit.merging.problems import Problem
from toolkit.merging.recipe import Recipe
from toolkit.merging.relatedness import UnrelatedPair
from toolkit.model import Model
from toolkit.records import dataclass
from toolkit.vocabulary import Convention, Progress, SilentProgress, SplitName


@dataclass(frozen=True)
class Images:
    """The data set of a merge, ``reason`` why this one or none; without one ``open`` is None."""

    reason: str
    name: str = ""
    open: Callable[[SplitName], Dataset] | None = None


@dataclass(frozen=True)
class StageReport:
    """What one stage did.

    Attributes:
        ran: False if it was skipped.
        sentence: What it did, or why it was skipped.
        figures: The same for programs.
    """

    stage: str
    ran: bool
    sentence: str
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MergeState:
    """A merge between two stages.

    The stage conform gives all ingredients the names and shapes of the first, combine sets ``result``.
    ``doubts`` says which conventions are in doubt.
    ``rewritten`` says which ingredients were rewritten for another convention or order of classes.
    ``evaluate`` is the validation accuracy of a recalibrated candidate; None without images.
    """

    recipe: Recipe
    strategy: MergeStrategy
    options: Any
    ingredients: tuple[Ingredient, ...]
    images: Images
    unrelated: tuple[UnrelatedPair, ...] = ()
    doubts: tuple[str, ...] = ()
    rewritten: tuple[str, ...] = ()
    evaluate: Callable[[Model], float] | None = None
    result: MergeResult | None = None
    reports: tuple[StageReport, ...] = ()
    progress: Progress = field(default_factory=SilentProgress)

    @property
    def model(self) -> Model:
        """The merged model so far; before the stage combine the first ingredient's."""
        return self.ingredients[0].model if self.result is None else self.result.model

    @property
    def made(self) -> MergeResult:
        """What the strategy made, its model finished by the later stages."""
        assert self.result is not None  # the stage combine sets it
        return self.result

    @property
    def classes(self) -> tuple[str, ...]:
        """Characters by output index; empty if no card names them."""
        return next((item.model.card.classes for item in self.ingredients if item.model.card.classes), ())

    @property
    def convention(self) -> Convention | None:
        """How the models expect their pixels; None if that is unknown."""
        return next(
            (item.model.card.convention for item in self.ingredients if item.model.card.convention), None
        )

    def after(
        self, stage: str, sentence: str, model: Model | None = None, *, ran: bool = True, **figures: Any
    ) -> MergeState:
        """The state after a stage, with its report and perhaps another merged model."""
        result = self.result if model is None else dataclasses.replace(self.made, model=model)
        report = StageReport(stage, ran, sentence, figures)
        return dataclasses.replace(self, result=result, reports=(*self.reports, report))


@dataclass(frozen=True)
class Stage:
    """One step of a merge: a file in ``toolkit/merging/stages`` and an entry in its list.

    Attributes:
        name: The table ``[stages.NAME]`` of a recipe has its options.
        problems: Everything that prevents the stage, found before any work.
        skip: Why there is nothing to do; empty to run.
        options: A dataclass of options.
        finishes_candidates: Whether candidates of a strategy pass through it before they are scored.
    """

    name: str
    problems: Callable[[MergeState], Iterable[Problem]]
    run: Callable[[MergeState], MergeState]
    skip: Callable[[MergeState], str] = lambda _: ""
    options: type | None = None
    finishes_candidates: bool = False
