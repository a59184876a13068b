"""What happened, epoch by epoch."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch.

    Attributes:
        epoch: From 1.
        loss: Mean of what was minimised, over the images as the network saw them.
        accuracy: Share of them that was recognised, dropout and augmentation in force, 0 to 1.
        val_loss: Mean cross entropy on validation, in nats.
        val_accuracy: 0 to 1.
        learning_rate: Of the last step.
        images_per_second: While learning.
        seconds: Of the whole epoch, evaluation included.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    images_per_second: float
    seconds: float

    def metrics(self) -> dict[str, float]:
        """Every figure by name, without the epoch's number."""
        return {name: value for name, value in asdict(self).items() if name != "epoch"}


_COLUMNS = tuple(field.name for field in fields(EpochRecord))


def history_csv(records: Sequence[EpochRecord]) -> str:
    """The records as CSV with a header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for record in records:
        values = asdict(record)
        writer.writerow([values["epoch"], *(f"{values[name]:.6g}" for name in _COLUMNS[1:])])
    return out.getvalue()
