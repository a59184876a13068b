"""The report of a merge: a document for programs, from which the HTML page is made."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.declarations import MergeStep
from toolkit.merging.pipeline import Outcome
from toolkit.merging.state import StageReport
from toolkit.merging.verdict import Verdict
from toolkit.records import dataclass
from toolkit.version import __version__
from toolkit.vocabulary import Convention, SplitName, percent

if TYPE_CHECKING:
    from toolkit.engine import Evaluation


@dataclass(frozen=True)
class Score:
    """How accurate one network is on one split.

    Attributes:
        accuracy: 0 to 1.
        low: Lower end of the accuracy's 95 % Wilson interval.
        high: Upper end of it.
        log_loss: Mean negative natural logarithm of the true class's probability.
    """

    split: SplitName
    images: int
    accuracy: float
    low: float
    high: float
    log_loss: float


@dataclass(frozen=True)
class IngredientScores:
    """One ingredient's row in the report.

    Attributes:
        name: Of its file, with folders if needed to tell it apart.
        share: Its share of the merge, 0 to 1.
        recorded_accuracy: The validation accuracy in its card, 0 to 1; None if there is none.
        scores: As measured in this merge, validation before test; empty without a data set.
    """

    name: str
    digest: str
    share: float
    recorded_accuracy: float | None
    scores: tuple[Score, ...] = ()


@dataclass(frozen=True)
class MergeReport:
    """A merge that was done.

    Attributes:
        output: The merged model's file, without folders.
        classes: Number of outputs.
        parameters: Number of float elements.
        convention: How the model expects its pixels; None if unknown.
        dataset: What everything was measured on, or empty.
        ingredients: In the order of the merge, the most accurate one first.
        effective_number: Number of equally weighted ingredients with the same Σshare².
        steps: Candidates that the strategy tried, in order.
        scores: Of the merged model, validation before test; empty without a data set.
        plain_mean: Of the plain mean without recalibration, for comparison; may be empty.
        verdict: On the validation split.
        test_verdict: On the test split, if that was asked for; against the same ingredient.
        choices: What was chosen for the user, and why.
        seconds: From the first file opened to the model published.
        versions: Of the toolkit, Python and the libraries that computed.
        schema: Version of this layout.
    """

    output: str
    weights_digest: str
    strategy: str
    options: Mapping[str, Any]
    classes: int
    parameters: int
    convention: Convention | None
    dataset: str
    ingredients: tuple[IngredientScores, ...]
    effective_number: float
    steps: tuple[MergeStep, ...]
    stages: tuple[StageReport, ...]
    scores: tuple[Score, ...]
    plain_mean: tuple[Score, ...]
    verdict: Verdict
    test_verdict: Verdict | None
    choices: tuple[str, ...]
    notes: tuple[str, ...]
    seed: int
    seconds: float
    versions: Mapping[str, str]
    schema: int = 2

    def to_json(self) -> str:
        """The report as text, without any absolute path."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def make_report(
    outcome: Outcome, weights_digest: str, choices: Sequence[str], notes: Sequence[str], seconds: float
) -> MergeReport:
    """The report of a merge that was saved."""
    state, result, recipe = outcome.state, outcome.state.made, outcome.state.recipe
    ingredients = tuple(
        IngredientScores(
            item.name,
            item.digest,
            share,
            item.model.card.validation_accuracy,
            _scores({split: found[index] for split, found in outcome.ingredients.items()}),
        )
        for index, (item, share) in enumerate(zip(state.ingredients, result.shares, strict=True))
    )
    versions = {"toolkit": __version__, "python": sys.version.split()[0], "numpy": np.__version__}
    if outcome.merged:
        import onnxruntime

        versions["onnxruntime"] = onnxruntime.__version__
    return MergeReport(
        output=recipe.output.rpartition("/")[2],
        weights_digest=weights_digest,
        strategy=recipe.strategy,
        options=recipe.options,
        classes=state.model.classes,
        parameters=state.model.parameters,
        convention=state.convention,
        dataset=state.images.name,
        ingredients=ingredients,
        effective_number=1.0 / sum(share * share for share in result.shares),
        steps=result.steps,
        stages=state.reports,
        scores=_scores(outcome.merged),
        plain_mean=_scores(outcome.plain_mean),
        verdict=outcome.verdicts["validation"],
        test_verdict=outcome.verdicts.get("test"),
        choices=tuple(choices),
        notes=(*notes, *result.notes, *outcome.notes, *_remarks(outcome)),
        seed=recipe.seed,
        seconds=seconds,
        versions=versions,
    )


def _scores(found: Mapping[SplitName, Evaluation]) -> tuple[Score, ...]:
    return tuple(
        Score(split, one.images, one.accuracy, one.low, one.high, one.log_loss)
        for split, one in found.items()
    )


def _remarks(outcome: Outcome) -> list[str]:
    remarks = [
        f"{item.name} has the same weights as {item.copy_of}: each of them counts"
        for item in outcome.state.ingredients
        if item.copy_of
    ]
    plain, merged = outcome.plain_mean.get("validation"), outcome.merged.get("validation")
    if plain and merged and plain.accuracy > merged.accuracy:
        remarks.append(
            f"the plain mean, not recalibrated, scores higher: {percent(plain.accuracy)} "
            "(--strategy mean --recalibrate off)"
        )
    if len({item.copy_of or item.name for item in outcome.state.ingredients}) == 1:
        remarks.append("all ingredients are copies of one model, and so is the result")
    if outcome.state.made.steps and "test" not in outcome.verdicts:
        remarks.append(
            "the merge was selected on these validation images, so its score is optimistic; use --test"
        )
    return remarks
