"""What is kept of a merge: a document for programs, from which the page for people is made."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolkit.declarations import MergeStep
from toolkit.merging.scores import Score
from toolkit.merging.verdict import Verdict
from toolkit.version import __version__
from toolkit.vocabulary import Convention

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class IngredientReport:
    """One ingredient and its part in the merge.

    Attributes:
        name: Of its file, without folders where that tells it apart.
        digest: Its weights digest.
        weight: Its share, 0 to 1.
        recorded_accuracy: The validation accuracy in its card, 0 to 1; None if there is none.
        scores: As measured in this merge, validation before test; empty without a data set.
    """

    name: str
    digest: str
    weight: float
    recorded_accuracy: float | None
    scores: tuple[Score, ...] = ()


@dataclass(frozen=True, slots=True)
class Recalibration:
    """What became of the batch statistics.

    Attributes:
        images: How many images they were counted on; 0 where they were not recalibrated.
        dataset: Whose fit split the images are from, or empty.
        sentence: The same for a person, with the reason.
    """

    images: int
    dataset: str
    sentence: str


@dataclass(frozen=True, slots=True)
class MergeReport:
    """A merge that was done.

    Attributes:
        output: The merged model's file, without folders.
        weights_digest: Of the merged model.
        strategy: Name of the strategy.
        options: Its options, as JSON values.
        classes: Number of outputs.
        parameters: Number of float elements.
        convention: How the model wants its pixels; None where nobody knows.
        dataset: What everything was measured on, or empty.
        ingredients: In the order of the merge, the most accurate one first.
        effective_number: How many equally weighted ingredients the shares amount to.
        steps: Candidates that the strategy tried, in order.
        recalibration: What became of the batch statistics.
        scores: Of the merged model, validation before test; empty without a data set.
        plain_mean: Of the plain mean without recalibration, for comparison; may be empty.
        verdict: On the validation split.
        test_verdict: On the test split, where that was asked for.
        choices: What was chosen for the user, and why.
        notes: What else is worth knowing.
        seed: Of every random choice.
        seconds: From the first file opened to the model published.
        versions: Of the toolkit, Python and the libraries that computed.
        schema: Number of this layout.
    """

    output: str
    weights_digest: str
    strategy: str
    options: Mapping[str, Any]
    classes: int
    parameters: int
    convention: Convention | None
    dataset: str
    ingredients: tuple[IngredientReport, ...]
    effective_number: float
    steps: tuple[MergeStep, ...]
    recalibration: Recalibration
    scores: tuple[Score, ...]
    plain_mean: tuple[Score, ...]
    verdict: Verdict
    test_verdict: Verdict | None
    choices: tuple[str, ...]
    notes: tuple[str, ...]
    seed: int
    seconds: float
    versions: Mapping[str, str] = field(default_factory=dict)
    schema: int = SCHEMA

    def to_json(self) -> str:
        """The report as text, without any absolute path."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def versions(*, measured: bool) -> dict[str, str]:
    """What computed the merge.

    Args:
        measured: Whether onnxruntime took part.
    """
    found = {"toolkit": __version__, "python": platform.python_version(), "numpy": np.__version__}
    if measured:
        import onnxruntime

        found["onnxruntime"] = onnxruntime.__version__
    return found
