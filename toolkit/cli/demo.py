"""``toolkit demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli.context import CommandLine, pass_request
from toolkit.cli.output import shown_path
from toolkit.requests.demo import Demo
from toolkit.vocabulary import percent

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.operations.demo import DemoResult


@click.command("demo")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for all results; by default demo/.",
)
@pass_request(Demo)
def command(command_line: CommandLine, request: Demo) -> None:
    """Run the whole flow on the embedded data set, in about a minute.

    Trains a network on characters drawn from fonts, fine-tunes it twice, merges the three models,
    exports ONNX, and reads pictures that were not used in training.
    """
    done = command_line.toolkit.demo(request, progress=command_line.output.progress())
    where = request.folder or command_line.toolkit.workspace.root / "demo"
    command_line.output.result(done, lambda console: _print(done, where, console))


def _print(done: DemoResult, folder: Path, console: Console) -> None:
    from rich.table import Table

    console.print()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("step", "test accuracy", "seconds", "details"):
        numbers = title in ("test accuracy", "seconds")
        table.add_column(title, justify="right" if numbers else "left", no_wrap=True)
    table.add_column(f"result in {shown_path(folder)}/", overflow="fold")
    for step in done.steps:
        accuracy = "" if step.accuracy is None else percent(step.accuracy)
        table.add_row(step.name, accuracy, f"{step.seconds:.1f}", step.detail, step.file.as_posix())
    console.print(table)
    console.print()
    predicted = "  ".join(picture.predictions[0].character for picture in done.pictures)
    console.print(f"characters in pictures/: {predicted}")
    console.print(done.verdict)
    console.print(done.test_verdict)
    if done.report is not None:
        console.print(f"report: {shown_path(done.report)}")
    console.print(f"{done.seconds:.0f} seconds in total")
