"""Whether a merge helped, as one sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from toolkit.records import dataclass
from toolkit.vocabulary import SplitName, percent

if TYPE_CHECKING:
    from toolkit.engine import Evaluation

_SIGNIFICANT = 0.05

Outcome = Literal[
    "better", "perhaps better", "equal", "perhaps worse", "worse", "unchanged", "in doubt", "not measured"
]


@dataclass(frozen=True)
class Comparison:
    """Two networks on the same images (McNemar 1947, exact two-sided test).

    Attributes:
        gained: Images that only the merge predicts correctly.
        lost: Images that only the other network predicts correctly.
        p_value: Probability of a difference at least as large if both were equally good.
    """

    gained: int
    lost: int
    p_value: float


@dataclass(frozen=True)
class Verdict:
    """The merged model compared with one opponent, the ingredient that is best on validation.

    Attributes:
        outcome: ``better`` and ``worse`` are significant (p < 0.05), ``perhaps better`` and
            ``perhaps worse`` are not; ``unchanged`` if the result is the opponent; ``in doubt`` instead
            of ``better`` or ``equal`` if the input format of an ingredient is in doubt.
        sentence: The same for a person, with the figures.
        best: Name of the opponent; empty if nothing was measured.
        split: What it was measured on.
        gain: Accuracy of the merge minus that of the opponent; None if not measured.
        comparison: Image by image; None if not measured.
    """

    outcome: Outcome
    sentence: str
    best: str = ""
    split: SplitName = "validation"
    gain: float | None = None
    comparison: Comparison | None = None

    @property
    def hurt(self) -> bool:
        """Whether the merge is less accurate than its best ingredient."""
        return self.outcome in ("worse", "perhaps worse")


def best_of(ingredients: Mapping[str, Evaluation]) -> str:
    """Name of the most accurate ingredient; the first of equals."""
    return max(ingredients, key=lambda name: ingredients[name].accuracy)


def judge(
    merged: Evaluation,
    opponent: Evaluation,
    best: str,
    split: SplitName,
    *,
    unchanged: str | None = None,
    doubts: Sequence[str] = (),
) -> Verdict:
    """Compare the merged model with the best ingredient on the same images.

    ``doubts`` says why the input formats of ingredients are in doubt: their figures say little then.
    """
    comparison = compare(merged, opponent)
    gain = merged.accuracy - opponent.accuracy
    on = f"on {merged.images:,} {split} images"
    significance = _p_value(comparison.p_value)
    figures = (
        f"{percent(merged.accuracy)} against {percent(opponent.accuracy)} {on} "
        f"({100 * gain:+.2f} points, {significance})"
    )
    what = f"The result is {unchanged} unchanged, which" if unchanged else "The merge"
    outcome: Outcome
    if unchanged == best:
        outcome = "unchanged"
        sentence = f"The result is {unchanged} unchanged: {percent(merged.accuracy)} {on}."
    elif comparison.gained == comparison.lost:
        outcome = "equal"
        sentence = f"{what} is as good as the best ingredient, {best}: {percent(merged.accuracy)} {on}."
    elif gain < 0:
        outcome = "worse" if comparison.p_value < _SIGNIFICANT else "perhaps worse"
        sentence = f"{what} is NOT better than the best ingredient, {best}: {figures}."
    else:
        outcome = "better" if comparison.p_value < _SIGNIFICANT else "perhaps better"
        sentence = f"{what} is {outcome} than the best ingredient, {best}: {figures}."
    if doubts and outcome in ("better", "perhaps better", "equal"):
        outcome = "in doubt"
        sentence = f"In doubt whether the merge helped: {'; '.join(doubts)}. It scores {figures}."
    elif doubts and outcome != "unchanged":
        sentence = f"{sentence} In doubt: {'; '.join(doubts)}."
    return Verdict(outcome, sentence, best, split, gain, comparison)


def unmeasured(reason: str) -> Verdict:
    """The verdict if there were no images."""
    return Verdict("not measured", f"Not measured, so it is unknown whether this merge helped: {reason}.")


def compare(new: Evaluation, old: Evaluation) -> Comparison:
    """Compare two networks on the same images."""
    gained = int(np.count_nonzero(new.right & ~old.right))
    lost = int(np.count_nonzero(old.right & ~new.right))
    return Comparison(gained, lost, mcnemar(gained, lost))


def mcnemar(gained: int, lost: int) -> float:
    """The exact two-sided p-value of McNemar's test."""
    total, fewer = gained + lost, min(gained, lost)
    if total == 0:
        return 1.0
    log_all = math.lgamma(total + 1) - total * math.log(2.0)
    tail = math.fsum(
        math.exp(log_all - math.lgamma(k + 1) - math.lgamma(total - k + 1)) for k in range(fewer + 1)
    )
    return min(1.0, 2.0 * tail)


def _p_value(p: float) -> str:
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < _SIGNIFICANT else f"not significant, p = {p:.2f}"
