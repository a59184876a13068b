"""``toolkit evaluate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from toolkit.cli.context import CommandLine, pass_request
from toolkit.cli.jsonable import shown_path
from toolkit.cli.parameters import ARCHITECTURE, DATASET, MODEL, request_options
from toolkit.cli.tables import print_rows
from toolkit.cli.visible import visible
from toolkit.requests.evaluate import Evaluate
from toolkit.vocabulary import percent

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.operations.evaluate import EvaluatedModel


@click.command("evaluate")
@click.argument("models", nargs=-1, required=True, type=MODEL, metavar="MODEL…")
@request_options(
    Evaluate, "split", "convention", "options", "csv", "force", arch=ARCHITECTURE, dataset=DATASET
)
@pass_request(Evaluate)
def command(command_line: CommandLine, request: Evaluate) -> None:
    """Evaluate models on a data set, in onnxruntime.

    With -v and in JSON, also the recall of every class.
    """
    output = command_line.output
    scores = command_line.toolkit.evaluate(request, progress=output.progress())
    output.result({"scores": scores}, lambda console: _print(scores, console, verbose=output.verbose))
    failed = [(score.model, score.error) for score in scores if score.error is not None]
    for model, error in failed:
        output.warn(f"{shown_path(model)} was not evaluated: {error}")
    if failed:
        raise click.exceptions.Exit(failed[0][1].exit_status)


def _print(scores: tuple[EvaluatedModel, ...], console: Console, *, verbose: bool) -> None:
    numbers = ("accuracy", "95 % interval", "log loss")
    measured = [score for score in scores if score.error is None]
    for place, (name, images) in enumerate(dict.fromkeys((one.dataset, one.images) for one in measured)):
        if place:
            console.print()
        console.print(f"{name}, {measured[0].split}: {images:,} images")
        rows = [
            (
                shown_path(score.model),
                percent(score.accuracy),
                f"{100 * score.low:.1f} – {percent(score.high, 1)}",
                f"{score.log_loss:.4f}",
                "  ".join(f"{name} {percent(recall, 0)}" for name, recall in list(score.recall.items())[:2]),
            )
            for score in measured
            if (score.dataset, score.images) == (name, images)
        ]
        print_rows(console, ("model", *numbers, "lowest recall"), rows, numbers=numbers)
    for score in measured:
        if score.doubt:
            console.print(visible(score.doubt), style="yellow")
    if verbose:
        console.print()
        models = [score.model.name for score in measured]
        classes = sorted({name for score in measured for name in score.recall})
        recall = [[name, *(percent(score.recall.get(name)) for score in measured)] for name in classes]
        print_rows(console, ("recall", *models), recall, numbers=models)
