"""Runs a merge: stages, measurements, verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from toolkit.declarations import Ingredient, MergeResult, tensorwise
from toolkit.errors import WorseMergeError
from toolkit.merging import stages
from toolkit.merging.problems import Problem
from toolkit.merging.relatedness import unrelated
from toolkit.merging.stages import conform
from toolkit.merging.state import MergeState, Stage, StageReport
from toolkit.merging.verdict import Verdict, best_of, judge, unmeasured
from toolkit.model import Model
from toolkit.records import dataclass
from toolkit.tensors import weighted_mean, weights_digest
from toolkit.vocabulary import Convention, SplitName, percent

if TYPE_CHECKING:
    from toolkit.engine import Evaluation

_FAR_FROM_CARD = 0.02
_NEAR_CHANCE = 0.05


@dataclass(frozen=True)
class Outcome:
    """A merge that was carried out, before it is saved."""

    state: MergeState
    verdicts: Mapping[SplitName, Verdict]
    ingredients: Mapping[SplitName, Sequence[Evaluation]]
    merged: Mapping[SplitName, Evaluation]
    plain_mean: Mapping[SplitName, Evaluation]
    notes: tuple[str, ...]


def plan(state: MergeState, known: Sequence[Problem]) -> tuple[MergeState, tuple[Problem, ...]]:
    """Check a merge before any work."""
    found = list(known)
    conformed = state
    if not found:
        state = conform.unify(state)
        conformed = conform.run(state)
        state = dataclasses.replace(state, unrelated=tuple(unrelated(conformed.ingredients)))
        conformed = dataclasses.replace(conformed, unrelated=state.unrelated)
    for stage in stages.STAGES[1:] if state.ingredients else ():
        found += stage.problems(conformed)
    return (conformed if state.images.open is None else state), tuple(found)


def run(state: MergeState) -> Outcome:
    """Carry out a merge that has no problems."""
    return _Run(state).outcome()


class _Run:
    def __init__(self, state: MergeState) -> None:
        self._state = state
        self._convention = state.convention or Convention()
        self._evaluations: dict[tuple[int, SplitName], tuple[Model, Evaluation]] = {}
        self._finished: dict[tuple[str, int], tuple[Model, Model, StageReport]] = {}
        self._known: dict[str, Evaluation] = {}

    def outcome(self) -> Outcome:
        state = self._state
        if state.images.open is None:
            state = self._staged(state)
            return Outcome(state, {"validation": unmeasured(state.images.reason)}, {}, {}, {}, ())
        self._known = self._measure(state.ingredients, "validation")
        measured = (
            dataclasses.replace(item, validation_accuracy=self._known[item.name].accuracy)
            for item in state.ingredients
        )
        state = self._staged(dataclasses.replace(state, ingredients=tuple(measured)))
        # The same order decides between equals everywhere: that of the merge.
        self._known = {item.name: self._known[item.name] for item in state.ingredients}
        best = best_of(self._known)
        state = self._accepted(state, best)
        known: dict[SplitName, dict[str, Evaluation]] = {"validation": self._known}
        if state.recipe.test:
            known["test"] = self._measure(state.ingredients, "test")
        merged = {split: self._merged(state, split, found) for split, found in known.items()}
        verdicts = {
            split: judge(
                merged[split],
                found[best],
                best,
                split,
                unchanged=state.made.unchanged,
                doubts=state.doubts,
            )
            for split, found in known.items()
        }
        shares = (1.0 / len(state.ingredients),) * len(state.ingredients)
        mean = tensorwise(
            state.ingredients, lambda arrays, _: weighted_mean(arrays, shares), elementwise=True
        )
        same = weights_digest(state.model.tensors) == weights_digest(mean.tensors)
        plain = {} if same else {split: self._evaluate(mean, split) for split in known}
        scores = {split: [found[item.name] for item in state.ingredients] for split, found in known.items()}
        remarks = tuple(_remarks(state, self._known))
        return Outcome(state, verdicts, scores, merged, plain, remarks)

    def _staged(self, state: MergeState) -> MergeState:
        for index, stage in enumerate(stages.STAGES):
            if stage.name in {report.stage for report in state.reports}:
                continue
            if state.images.open is not None:
                state = dataclasses.replace(state, evaluate=self._scorer(state, stages.STAGES[index + 1 :]))
            state = self._apply(stage, state)
        return state

    def _apply(self, stage: Stage, state: MergeState) -> MergeState:
        """Run a stage, or take what it made of the same model before."""
        reason = stage.skip(state)
        if reason:
            return state.after(stage.name, reason, ran=False)
        if not stage.finishes_candidates:
            return stage.run(state)
        key = stage.name, id(state.model)
        if key not in self._finished:
            done = stage.run(state)
            # Holding the model keeps its id from being used again.
            self._finished[key] = state.model, done.model, done.reports[-1]
        _, model, report = self._finished[key]
        return state.after(stage.name, report.sentence, model, **report.figures)

    def _scorer(self, state: MergeState, later: Sequence[Stage]) -> Callable[[Model], float]:
        def score(model: Model) -> float:
            own = next((item.name for item in state.ingredients if item.model is model), None)
            if own is not None:
                return self._known[own].accuracy
            candidate = dataclasses.replace(state, result=MergeResult(model))
            for stage in later:
                candidate = self._apply(stage, candidate) if stage.finishes_candidates else candidate
            accuracy = self._evaluate(candidate.model, "validation").accuracy
            state.progress.note(f"candidate: {percent(accuracy)} on validation")
            return accuracy

        return score

    def _accepted(self, state: MergeState, best: str) -> MergeState:
        """Refuse a result that is worse on validation; with `or_best`, replace it by the best ingredient."""
        result, merged = state.made, self._merged(state, "validation", self._known)
        verdict = judge(
            merged, self._known[best], best, "validation", unchanged=result.unchanged, doubts=state.doubts
        )
        if not verdict.hurt or state.recipe.keep_worse:
            return state
        if not state.recipe.or_best:
            raise WorseMergeError(
                f"{verdict.sentence} Nothing was written.",
                hint=f"use {best}, or save the result with --keep-worse, or {best} with --or-best",
            )
        item = next(item for item in state.ingredients if item.name == best)
        note = f"the result of {state.strategy.name} was replaced by {best}: {verdict.sentence}"
        shares = tuple(float(one.name == best) for one in state.ingredients)
        replaced = MergeResult(item.model, (*result.notes, note), result.steps, shares, unchanged=best)
        return dataclasses.replace(state, result=replaced)

    def _measure(self, ingredients: Sequence[Ingredient], split: SplitName) -> dict[str, Evaluation]:
        progress, found = self._state.progress, {}
        progress.begin(f"scoring on {split}", len(ingredients), "models")
        for number, item in enumerate(ingredients, start=1):
            found[item.name] = self._evaluate(item.model, split)
            progress.advance(number, f"{item.name} {percent(found[item.name].accuracy)}")
        progress.end()
        return found

    def _merged(self, state: MergeState, split: SplitName, known: Mapping[str, Evaluation]) -> Evaluation:
        unchanged = state.made.unchanged
        return self._evaluate(state.model, split) if unchanged is None else known[unchanged]

    def _evaluate(self, model: Model, split: SplitName) -> Evaluation:
        from toolkit.engine import Network, evaluate, usable_processors

        key = id(model), split
        if key not in self._evaluations:
            assert self._state.images.open is not None
            classes = self._state.classes
            network = Network.of(
                model.with_card(dataclasses.replace(model.card, classes=classes)), threads=usable_processors()
            )
            images = self._state.images.open(split)
            self._evaluations[key] = model, evaluate(network, images, self._convention)
        return self._evaluations[key][1]


def _remarks(state: MergeState, known: Mapping[str, Evaluation]) -> Iterator[str]:
    """Ingredients that are far from what their cards say, or near chance."""
    chance = 1.0 / state.model.classes
    for item in state.ingredients:
        accuracy, recorded = known[item.name].accuracy, item.model.card.validation_accuracy
        if recorded is not None and abs(accuracy - recorded) > _FAR_FROM_CARD:
            yield f"{item.name} scores {percent(accuracy)} here, {percent(recorded)} in its card"
        if accuracy <= chance + min(chance, _NEAR_CHANCE):
            yield f"{item.name} is no better than chance"
