"""What a training needs, and what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from toolkit.data import Dataset
from toolkit.declarations import Architecture, ModelFormat, NoOptions, RunListener
from toolkit.model import Model
from toolkit.records import dataclass
from toolkit.training.options import TrainingOptions
from toolkit.vocabulary import Progress, SilentProgress


@dataclass(frozen=True, kw_only=True)
class TrainingTask:
    """One training with everything opened that it uses.

    Attributes:
        architecture: Builds the network; None if ``start_from``, a model to fine-tune, is given.
        loader_options: As JSON values, for the card.
        target: Where the model is published in addition to the run's folder.
    """

    architecture: Architecture | None
    fit: Dataset
    validation: Dataset
    folder: Path
    model_format: ModelFormat
    architecture_options: Any = field(default_factory=NoOptions)
    loader_options: dict[str, Any] = field(default_factory=dict)
    test: Dataset | None = None
    options: TrainingOptions = field(default_factory=TrainingOptions)
    seed: int = 0
    resume: bool = False
    start_from: Model | None = None
    target: Path | None = None
    results: Path | None = None
    listeners: Sequence[RunListener] = ()
    progress: Progress = field(default_factory=SilentProgress)


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """The result of a training.

    Attributes:
        model: The published model; the one in the run's folder if the task has no target.
        architecture: Empty if that of a fine-tuned model is not known.
        parameters: Running statistics included.
        epochs: Number of epochs done; the model has the weights of ``best_epoch``, from 1.
        test_accuracy: 0 to 1; None without test images.
        confusion_plot: On the test images, or else on validation.
    """

    model: Path
    run: Path
    dataset: str
    architecture: str
    parameters: int
    epochs: int
    best_epoch: int
    stopped_early: bool
    validation_accuracy: float
    validation_images: int
    test_accuracy: float | None
    test_images: int
    images_per_second: float
    seconds: float
    weights_digest: str
    mapping: Path
    history_plot: Path
    confusion_plot: Path
