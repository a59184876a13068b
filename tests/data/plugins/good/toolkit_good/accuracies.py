"""A list of validation accuracies in the run's folder."""

from __future__ import annotations

from toolkit.types import RunEvent


def hear(event: RunEvent) -> None:
    """Append the validation accuracy of each epoch to ``accuracies.txt``."""
    if event.kind == "epoch":
        with (event.run / "accuracies.txt").open("a", encoding="utf-8") as file:
            file.write(f"{event.epoch} {event.metrics['val_accuracy']:.4f}\n")
