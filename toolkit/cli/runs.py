"""``toolkit runs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from toolkit.cli.context import CommandLine, pass_request
from toolkit.cli.jsonable import shown_path
from toolkit.cli.parameters import RUN
from toolkit.cli.tables import print_rows
from toolkit.requests.runs import ListRuns, RemoveRuns, ShowRun
from toolkit.vocabulary import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from toolkit.operations.runs import Run, RunDetails


@click.group("runs")
def command() -> None:
    """List, show and remove training runs."""


@command.command("list")
@pass_request(ListRuns)
def list_command(command_line: CommandLine, request: ListRuns) -> None:
    """List the runs in runs/, oldest first."""
    runs = command_line.toolkit.list_runs(request, progress=command_line.output.progress())
    command_line.output.result({"runs": runs}, lambda console: _print_list(runs, console))


@command.command("show")
@click.argument("run", metavar="RUN", type=RUN)
@pass_request(ShowRun)
def show_command(command_line: CommandLine, request: ShowRun) -> None:
    """Show one run: its settings and its epochs. RUN is a name, a path, or latest."""
    details = command_line.toolkit.show_run(request, progress=command_line.output.progress())
    command_line.output.result(details, lambda console: _print_details(details, console))


@command.command("rm")
@click.argument("runs", metavar="RUN…", type=RUN, nargs=-1, required=True)
@pass_request(RemoveRuns)
def remove_command(command_line: CommandLine, request: RemoveRuns) -> None:
    """Remove runs with everything in their folders; models in models/ are kept."""
    removed = command_line.toolkit.remove_runs(request, progress=command_line.output.progress())
    command_line.output.result(
        {"removed": removed}, lambda console: console.print(f"removed {', '.join(removed)}")
    )


def _print_list(runs: Sequence[Run], console: Console) -> None:
    if not runs:
        console.print("no runs")
        return
    rows = [
        (
            run.name,
            run.state,
            run.created[:16].replace("T", " "),
            run.dataset,
            run.architecture or (f"from {run.start_from}" if run.start_from else ""),
            f"{run.epochs}/{run.planned}",
            percent(run.validation_accuracy),
        )
        for run in runs
    ]
    titles = ("run", "state", "started", "data set", "architecture", "epochs", "validation")
    print_rows(console, titles, rows, numbers=("epochs", "validation"))


def _print_details(details: RunDetails, console: Console) -> None:
    run, record = details.run, details.record
    settings = {**record.architecture_options, **record.options}
    console.print(f"run           {shown_path(run.path)}")
    console.print(f"state         {run.state}" + (f": {run.error}" if run.error else ""))
    console.print(f"started       {run.created}, toolkit {record.versions.get('toolkit', '?')}")
    console.print(f"data set      {run.dataset}: {record.fit_images:,} fit images")
    console.print(f"architecture  {run.architecture or f'that of {run.start_from}'}, seed {record.seed}")
    console.print(f"settings      {', '.join(f'{key}={value}' for key, value in settings.items())}\n")
    rows = [
        (
            f"{epoch.epoch}/{run.planned}",
            f"{epoch.loss:.4f}",
            percent(epoch.accuracy),
            f"{epoch.val_loss:.4f}",
            percent(epoch.val_accuracy),
            f"{epoch.images_per_second:,.0f}",
        )
        for epoch in details.history
    ]
    titles = ("epoch", "loss", "accuracy", "val loss", "validation", "images/s")
    print_rows(console, titles, rows, numbers=titles)
