"""What a merge would do, and what stands in its way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.merging.problems import Problem


@dataclass(frozen=True, slots=True)
class PlannedIngredient:
    """One model that would be merged.

    Attributes:
        name: Unique in this merge.
        digest: Its weights digest.
        accuracy: On validation, 0 to 1, from its card; None where its card has none.
    """

    name: str
    digest: str
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class MergePlan:
    """A merge before any work.

    Attributes:
        strategy: Name of the strategy.
        options: Its options, as JSON values.
        ingredients: Those that fit one another; the first gives names, wiring and format.
        classes: Number of outputs.
        parameters: Number of float elements.
        dataset: What would be scored and recalibrated on, or empty.
        recalibrate: Number of images for the batch statistics; 0 for none.
        output: The file that would be written, as the user would type it.
        seed: Of every random choice.
        choices: What was chosen for the user, and why.
        notes: What else is worth knowing.
        problems: All that stands in the way; empty if nothing does.
    """

    strategy: str
    options: Mapping[str, Any]
    ingredients: tuple[PlannedIngredient, ...]
    classes: int
    parameters: int
    dataset: str
    recalibrate: int
    output: str
    seed: int
    choices: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
