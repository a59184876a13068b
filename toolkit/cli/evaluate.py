"""``toolkit evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli.context import CommandLine, common_options, pass_command_line
from toolkit.cli.output import shown_path
from toolkit.cli.parameters import INPUT_PATH, convention_option
from toolkit.cli.tables import print_table

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.operations.evaluate import Score
    from toolkit.vocabulary import Convention, SplitName

_WEAKEST = 2


@click.command("evaluate")
@click.argument("models", nargs=-1, required=True, type=INPUT_PATH, metavar="MODEL…")
@click.option(
    "--dataset", metavar="NAME|PATH", help="By default the one that the first model was trained on."
)
@click.option(
    "--split",
    type=click.Choice(["test", "validation", "fit"]),
    default="test",
    show_default=True,
    help="Which part of the data set.",
)
@convention_option
@common_options
@pass_command_line
def command(
    command_line: CommandLine,
    models: tuple[Path, ...],
    dataset: str | None,
    split: SplitName,
    convention: Convention | None,
) -> None:
    """Score models on a data set, in onnxruntime."""
    from toolkit.operations.evaluate import evaluate

    scores = evaluate(
        command_line.toolkit,
        models,
        dataset=dataset,
        split=split,
        progress=command_line.output.progress(),
        convention=convention,
    )
    for assumption in dict.fromkeys(text for score in scores for text in score.assumed):
        command_line.output.note(assumption)
    command_line.output.result({"scores": scores}, lambda console: _print(scores, console))


def _print(scores: tuple[Score, ...], console: Console) -> None:
    from rich.table import Table

    first = scores[0]
    console.print(f"{first.dataset}, {first.split}: {first.images:,} images")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", overflow="fold")
    for title in ("accuracy", "95 % interval", "log loss"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("weakest", no_wrap=True)
    for score in scores:
        weakest = "  ".join(f"{name} {recall:.0%}" for name, recall in score.weakest[:_WEAKEST])
        table.add_row(
            shown_path(score.model),
            f"{score.accuracy:.2%}",
            f"{score.low:.1%} – {score.high:.1%}",
            f"{score.log_loss:.4f}",
            weakest,
        )
    print_table(console, table)
