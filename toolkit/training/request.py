"""What a training is asked for, and what it hands back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.data import Dataset
from toolkit.declarations import Architecture, ModelFormat, NoOptions, RunListener
from toolkit.model import Model
from toolkit.training.history import EpochRecord
from toolkit.training.plan import TrainingOptions
from toolkit.vocabulary import Convention, Progress, SilentProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest:
    """Asks for a trained network.

    Attributes:
        architecture: Builds the network; None only where ``start_from`` is given, which brings
            its own.
        fit: Images to learn from, at least one.
        validation: Images that choose the best epoch, at least one.
        folder: The run's folder; made if it is missing.
        model_format: Reads the ``.h5`` file that is written, to prove it.
        architecture_options: An instance of the architecture's options.
        test: Images for the one final figure; None leaves it out.
        options: Of the training.
        seed: 0 or above. The same seed gives the same weights digest.
        resume: Go on from the folder's checkpoint, if there is one.
        start_from: A model to fine-tune, with its card.
        listeners: Told of the start, of every epoch and of the end.
        progress: Told of images done.
    """

    architecture: Architecture | None
    fit: Dataset
    validation: Dataset
    folder: Path
    model_format: ModelFormat
    architecture_options: Any = field(default_factory=NoOptions)
    test: Dataset | None = None
    options: TrainingOptions = field(default_factory=TrainingOptions)
    seed: int = 0
    resume: bool = False
    start_from: Model | None = None
    listeners: Sequence[RunListener] = ()
    progress: Progress = field(default_factory=SilentProgress)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedRun:
    """What a training handed back.

    Attributes:
        folder: The run's folder.
        model: The ``.h5`` file in it: the network after its best epoch.
        weights_digest: Of that network.
        convention: How it wants its pixels.
        parameters: Number of float elements, running statistics included.
        records: One for each epoch.
        best_epoch: From 1.
        stopped_early: Whether validation stopped improving before the last planned epoch.
        validation_accuracy: Of the best epoch, 0 to 1.
        validation_images: Their number.
        test_accuracy: 0 to 1; None without test images.
        test_images: Their number.
        history_plot: PNG of accuracy and loss over the epochs.
        confusion_plot: PNG of which character was taken for which, on test images where there
            are some, else on validation.
        confusion_table: CSV of the same.
        seconds: Learning and evaluating, over all sittings of the run.
        images_per_second: While learning, mean over the epochs.
    """

    folder: Path
    model: Path
    weights_digest: str
    convention: Convention
    parameters: int
    records: tuple[EpochRecord, ...]
    best_epoch: int
    stopped_early: bool
    validation_accuracy: float
    validation_images: int
    test_accuracy: float | None
    test_images: int
    history_plot: Path
    confusion_plot: Path
    confusion_table: Path
    seconds: float
    images_per_second: float
