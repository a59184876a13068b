"""``toolkit evaluate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from toolkit.cli.context import CommandLine, pass_request
from toolkit.cli.jsonable import shown_path
from toolkit.cli.parameters import ARCHITECTURE, DATASET, MODEL, request_options
from toolkit.cli.tables import print_rows
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
    scores = command_line.toolkit.evaluate(request, progress=command_line.output.progress())
    command_line.output.result(
        {"scores": scores}, lambda console: _print(scores, console, verbose=command_line.output.verbose)
    )


def _print(scores: tuple[EvaluatedModel, ...], console: Console, *, verbose: bool) -> None:
    first = scores[0]
    console.print(f"{first.dataset}, {first.split}: {first.images:,} images")
    numbers = ("accuracy", "95 % interval", "log loss")
    rows = [
        (
            shown_path(score.model),
            percent(score.accuracy),
            f"{100 * score.low:.1f} – {percent(score.high, 1)}",
            f"{score.log_loss:.4f}",
            "  ".join(f"{name} {percent(recall, 0)}" for name, recall in list(score.recall.items())[:2]),
        )
        for score in scores
    ]
    print_rows(console, ("model", *numbers, "lowest recall"), rows, numbers=numbers)
    if verbose:
        console.print()
        models = [score.model.name for score in scores]
        classes = sorted({name for score in scores for name in score.recall})
        recall = [[name, *(percent(score.recall.get(name)) for score in scores)] for name in classes]
        print_rows(console, ("recall", *models), recall, numbers=models)
