"""Whether a merge helped, in one plain sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from toolkit.merging.scores import Answers, Comparison, compare
from toolkit.vocabulary import SplitName

_CHANCE = 0.05

Outcome = Literal["better", "perhaps better", "equal", "worse", "unchanged", "not measured"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the merged model stands to the best of its ingredients.

    Attributes:
        outcome: ``better`` beyond chance, ``perhaps better`` within it, ``equal``, ``worse``,
            ``unchanged`` where the merge is one of its ingredients, or ``not measured``.
        sentence: The same for a person, with the figures.
        best: Name of the best ingredient; empty where nothing was measured.
        split: What it was measured on.
        gain: Accuracy of the merge minus that of the best ingredient; None if not measured.
        comparison: Image by image; None if not measured.
    """

    outcome: Outcome
    sentence: str
    best: str = ""
    split: SplitName = "validation"
    gain: float | None = None
    comparison: Comparison | None = None

    @property
    def helped(self) -> bool:
        """Whether the merged model scores above its best ingredient."""
        return self.outcome in ("better", "perhaps better")


def judge(
    merged: Answers, ingredients: Mapping[str, Answers], *, unchanged: str = "", because: str = ""
) -> Verdict:
    """Hold the merged model against the best of its ingredients, on the same images.

    Args:
        merged: What the merged model got right.
        ingredients: By name; the first of the best ones is the best one.
        unchanged: Name of the ingredient that the merge consists of, where it is only one.
        because: Why it is only that one.
    """
    best = max(ingredients, key=lambda name: ingredients[name].score.accuracy)
    split, images = merged.score.split, merged.score.images
    comparison = compare(merged, ingredients[best])
    gain = merged.score.accuracy - ingredients[best].score.accuracy
    figures = (
        f"{_percent(merged.score.accuracy)} against {_percent(ingredients[best].score.accuracy)} "
        f"on {images:,} {split} images"
    )
    outcome: Outcome
    if unchanged and gain < 0:
        outcome = "worse"
        sentence = (
            f"{because}, so the result is {unchanged} unchanged, which is NOT better than the best "
            f"ingredient, {best}: {figures} ({_points(gain)})."
        )
    elif unchanged:
        outcome = "unchanged"
        sentence = (
            f"{because}, so the result is {unchanged} unchanged: "
            f"{_percent(merged.score.accuracy)} on {images:,} {split} images."
        )
    elif comparison.gained == comparison.lost:
        outcome = "equal"
        sentence = f"The merge scores the same as the best ingredient, {best}: {figures}."
    elif gain < 0:
        outcome = "worse"
        sentence = (
            f"The merge is NOT better than the best ingredient, {best}: {figures} "
            f"({_points(gain)}); use {best} instead."
        )
    elif comparison.p_value < _CHANCE:
        outcome = "better"
        sentence = f"The merge is better than the best ingredient, {best}: {figures} ({_points(gain)})."
    else:
        outcome = "perhaps better"
        sentence = (
            f"The merge scores above the best ingredient, {best}: {figures} ({_points(gain)}), "
            f"which chance alone could explain (p = {comparison.p_value:.2f})."
        )
    return Verdict(outcome, sentence, best, split, gain, comparison)


def unmeasured(reason: str, *, statistics_averaged: bool) -> Verdict:
    """What to say where there were no images to measure the merge on.

    Args:
        reason: Why there were none.
        statistics_averaged: Whether the network has batch statistics, which then are only averages.
    """
    sentence = f"Not measured, so nobody knows whether this merge helped: {reason}."
    if statistics_averaged:
        sentence += " Its batch statistics were averaged, not recalibrated."
    return Verdict("not measured", sentence)


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _points(gain: float) -> str:
    return f"{100 * gain:+.2f} points"
