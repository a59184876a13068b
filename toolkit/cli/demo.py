"""``toolkit demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli.context import CommandLine, pass_request
from toolkit.cli.jsonable import shown_path
from toolkit.cli.tables import print_rows
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
    """Run the whole flow on the embedded data set, in one to two minutes.

    Trains a network on characters drawn from fonts, fine-tunes it twice, merges the three models,
    exports ONNX, and reads pictures that were not used in training.
    """
    done = command_line.toolkit.demo(request, progress=command_line.output.progress())
    where = request.folder or command_line.toolkit.workspace.root / "demo"
    command_line.output.result(done, lambda console: _print(done, where, console))


def _print(done: DemoResult, folder: Path, console: Console) -> None:
    console.print()
    where = f"result in {shown_path(folder)}/"
    rows = []
    for step in done.steps:
        accuracy = "" if step.accuracy is None else percent(step.accuracy)
        rows.append((step.name, accuracy, f"{step.seconds:.1f}", step.detail, step.file.as_posix()))
    numbers = ("test accuracy", "seconds")
    print_rows(console, ("step", *numbers, "details", where), rows, numbers=numbers, folded=(where,))
    console.print()
    predicted = "  ".join(picture.predictions[0].character for picture in done.pictures)
    console.print(f"characters in pictures/: {predicted}")
    console.print(done.verdict)
    console.print(done.test_verdict)
    if done.report is not None:
        console.print(f"report: {shown_path(done.report)}")
    console.print(f"{done.seconds:.0f} seconds in total")
