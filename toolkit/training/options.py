"""Options of a training."""

from __future__ import annotations

from typing import Literal, TypeAlias

from toolkit.options import option
from toolkit.records import dataclass

ClassWeighting: TypeAlias = Literal["none", "sqrt", "balanced"]

LEARNING_RATE = 0.004
FINE_TUNING_RATE = 0.0005


@dataclass(frozen=True)
class TrainingOptions:
    """Options of a training."""

    epochs: int = option(20, help="passes over the fit images", minimum=1, maximum=10_000)
    batch_size: int = option(256, help="images per step", minimum=1, maximum=65_536)
    learning_rate: float | None = option(
        None,
        help=f"highest learning rate; by default {LEARNING_RATE}, or {FINE_TUNING_RATE} when fine-tuning",
        minimum=1e-8,
        maximum=10.0,
    )
    warmup: float = option(
        0.15, help="share of all steps over which the learning rate rises", minimum=0.0, maximum=0.9
    )
    weight_decay: float = option(
        0.02,
        help="decoupled weight decay of kernels, multiplied by the learning rate",
        minimum=0.0,
        maximum=1.0,
    )
    label_smoothing: float = option(
        0.05, help="share of each target that is spread over all classes", minimum=0.0, maximum=0.9
    )
    shift: float = option(1.5, help="largest random shift, in pixels", minimum=0.0, maximum=14.0)
    rotation: float = option(8.0, help="largest random rotation, in degrees", minimum=0.0, maximum=90.0)
    scaling: float = option(
        0.08, help="largest random change of height and of width, as a share", minimum=0.0, maximum=0.5
    )
    class_weighting: ClassWeighting = option(
        "none", help="weights of classes in the loss: balanced is 1 / frequency, sqrt is its root"
    )
    recalibration: int = option(
        8192,
        help="number of fit images, not augmented, for the batch statistics after each epoch; "
        "0 keeps the running averages",
        minimum=0,
        maximum=1_000_000,
    )
    # While the learning rate is high, validation may stagnate for eight epochs and then improve.
    patience: int = option(
        12,
        help="epochs without a better validation accuracy before training stops; 0 never stops early",
        minimum=0,
        maximum=10_000,
    )

    def highest_rate(self, *, fine_tuning: bool) -> float:
        """The learning rate at the top of the schedule."""
        return self.learning_rate or (FINE_TUNING_RATE if fine_tuning else LEARNING_RATE)
