"""Training: runs that can be resumed, fine-tuning, history, plots."""

from __future__ import annotations

from toolkit.training.folder import RunConfiguration, RunFolder
from toolkit.training.history import EpochRecord
from toolkit.training.plan import TrainingOptions
from toolkit.training.request import TrainedRun, TrainingRequest
from toolkit.training.run import check_request, train

__all__ = [
    "EpochRecord",
    "RunConfiguration",
    "RunFolder",
    "TrainedRun",
    "TrainingOptions",
    "TrainingRequest",
    "check_request",
    "train",
]
