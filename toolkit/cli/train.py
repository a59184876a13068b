"""``toolkit train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from toolkit.cli.context import CommandLine, common_options, options_option, pass_command_line
from toolkit.cli.output import shown_path
from toolkit.cli.parameters import INPUT_PATH, convention_option
from toolkit.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.operations.train import Trained
    from toolkit.vocabulary import Convention

_SETTLED = {"dataset", "arch", "epochs", "seed", "start_from", "convention", "name", "options"}


@click.command("train")
@click.option("--dataset", metavar="NAME|PATH", help="What to train on; by default what stands in datasets/.")
@click.option("--arch", metavar="NAME", help="The architecture; `toolkit plugins list` has them.")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the fit images.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same weights."
)
@click.option(
    "--from",
    "start_from",
    type=INPUT_PATH,
    metavar="MODEL",
    help="Fine-tune this model instead of starting anew.",
)
@convention_option
@click.option("--name", metavar="NAME", help="Of the model file under models/, without suffix.")
@click.option("--resume", metavar="RUN", help="Go on with this run, a folder under runs/.")
@options_option("the training or the architecture")
@common_options
@pass_command_line
def command(
    command_line: CommandLine,
    dataset: str | None,
    arch: str | None,
    epochs: int | None,
    seed: int,
    start_from: Path | None,
    convention: Convention | None,
    name: str | None,
    resume: str | None,
    options: tuple[str, ...],
) -> None:
    """Train a network, or fine-tune one with --from.

    Ends with models/emnist_<data set>_model.h5, its card, the class mapping and a plot; the run's
    folder under runs/ keeps the history, a confusion matrix and a checkpoint to resume from.
    """
    from toolkit.operations.train import TrainOrder, train
    from toolkit.operations.train import resume as resume_run

    if resume is not None:
        _refuse_changes(click.get_current_context())
        trained = resume_run(command_line.toolkit, resume, command_line.output.progress())
    else:
        order = TrainOrder(dataset, arch, options, epochs, seed, start_from, name, convention)
        trained = train(command_line.toolkit, order, command_line.output.progress())

    command_line.output.result(trained, lambda console: _print(trained, console))


def _refuse_changes(context: click.Context) -> None:
    """Nothing of a run can be changed; what the environment says is for new ones."""
    typed = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in _SETTLED
        and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
    if typed:
        raise UsageError(
            f"--resume goes on with what the run was started with, received {', '.join(typed)}",
            hint="give it without other options, or start a new run",
        )


def _print(done: Trained, console: Console) -> None:
    if done.test_accuracy is not None:
        console.print(
            f"test accuracy {done.test_accuracy:.2%} on {done.test_images:,} images of {done.dataset}"
        )
    best = f"{done.validation_accuracy:.2%} on validation"
    console.print(f"best     epoch {done.best_epoch} of {done.epochs}, {best}")
    console.print(f"model    {shown_path(done.model)}, {done.parameters:,} parameters")
    console.print(f"plot     {shown_path(done.history_plot)}")
    console.print(f"mapping  {shown_path(done.mapping)}")
    console.print(f"run      {shown_path(done.run)}")
    console.print(f"pace     {done.images_per_second:,.0f} images a second")
