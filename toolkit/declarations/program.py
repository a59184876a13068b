"""What plugins add to the program itself: listeners of trainings, commands and routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from toolkit.declarations.options import Declaration
from toolkit.records import dataclass

if TYPE_CHECKING:
    import click
    import flask


@dataclass(frozen=True)
class RunEvent:
    """Something that happened in a training.

    Attributes:
        kind: ``epoch`` is the end of an epoch.
        run: The run's folder.
        epoch: Epochs done so far.
        epochs: Epochs planned.
        metrics: After an epoch: loss, accuracy, val_loss, val_accuracy, learning_rate,
            images_per_second, seconds. After the end also test_accuracy.
        details: At the start the run's configuration; after a failure ``error``.
    """

    kind: Literal["started", "epoch", "finished", "failed"]
    run: Path
    epoch: int = 0
    epochs: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RunListener(Declaration):
    """Hears the events of every training.

    Attributes:
        hear: Receives each event. If it raises, it hears nothing more of this run.
    """

    hear: Callable[[RunEvent], None]


@dataclass(frozen=True, kw_only=True)
class Command(Declaration):
    """A command of the command line, ``toolkit NAME``.

    Attributes:
        load: Returns the command; called when it is run or its help is shown.
    """

    load: Callable[[], click.Command]


@dataclass(frozen=True, kw_only=True)
class Routes(Declaration):
    """Routes of the HTTP API, below ``/plugins/NAME``.

    Attributes:
        load: Returns the routes; called when the server starts.
    """

    load: Callable[[], flask.Blueprint]
