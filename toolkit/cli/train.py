"""``toolkit train``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from toolkit.cli.context import CommandLine, pass_request
from toolkit.cli.jsonable import shown_path
from toolkit.cli.parameters import ARCHITECTURE, DATASET, INPUT_PATH, MODEL, RUN, request_options
from toolkit.errors import UsageError
from toolkit.requests.train import Train
from toolkit.vocabulary import percent

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.operations.train import TrainedModel

_WITH_RESUME = {"resume", "force"}


@click.command("train")
@click.option("--from", "from_model", type=MODEL, metavar="MODEL", help="Model file to fine-tune.")
@request_options(
    Train,
    *("epochs", "seed", "convention", "name", "options", "force"),
    dataset=DATASET,
    arch=ARCHITECTURE,
    resume=RUN,
    config=INPUT_PATH,
)
@pass_request(Train)
def command(command_line: CommandLine, request: Train) -> None:
    """Train a network, or fine-tune one with --from.

    Writes models/emnist_<data set>_model.h5, its card, the class mapping and a plot. The run's folder
    in runs/ has the settings, the history, a confusion matrix and, until the run is finished, a
    checkpoint for --resume. `toolkit plugins show train` lists the options of the training.
    """
    if request.resume is not None:
        _refuse_changes(click.get_current_context())
        request = Train(resume=request.resume, force=request.force)
    trained = command_line.toolkit.train(request, progress=command_line.output.progress())
    command_line.output.result(trained, lambda console: _print(trained, console))


def _refuse_changes(context: click.Context) -> None:
    typed = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.expose_value
        and parameter.name not in _WITH_RESUME
        and context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
    ]
    if typed:
        raise UsageError(
            f"--resume uses the settings of the run, received {', '.join(typed)}",
            hint="give it without other options, or start a new run",
        )


def _print(trained: TrainedModel, console: Console) -> None:
    if trained.test_accuracy is not None:
        images = f"{trained.test_images:,} images of {trained.dataset}"
        console.print(f"test accuracy {percent(trained.test_accuracy)} on {images}")
    best = f"{percent(trained.validation_accuracy)} on validation"
    console.print(f"best     epoch {trained.best_epoch} of {trained.epochs}, {best}")
    console.print(f"model    {shown_path(trained.model)}, {trained.parameters:,} parameters")
    console.print(f"plot     {shown_path(trained.history_plot)}")
    console.print(f"mapping  {shown_path(trained.mapping)}")
    console.print(f"run      {shown_path(trained.run)}")
    console.print(f"speed    {trained.images_per_second:,.0f} images per second")
