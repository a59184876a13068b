"""``toolkit demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli.context import CommandLine, common_options, pass_command_line
from toolkit.cli.output import shown_path

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.operations.demo import Demo


@click.command("demo")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="A workspace of its own, made if it is missing; by default demo/.",
)
@common_options
@pass_command_line
def command(command_line: CommandLine, folder: Path | None) -> None:
    """Run the whole flow on the embedded data set, in about a minute.

    Trains a network and two fine-tunings of it on characters drawn from fonts, merges the three,
    exports ONNX, and recognises pictures that none of them was trained on.
    """
    from toolkit.operations.demo import demo

    where = folder or command_line.toolkit.workspace.root / "demo"
    done = demo(command_line.toolkit, where, command_line.output.progress())
    command_line.output.close()
    command_line.output.result(done, lambda console: _print(done, where, console))


def _print(done: Demo, folder: Path, console: Console) -> None:
    from rich.table import Table

    console.print()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("step", no_wrap=True)
    table.add_column("test", justify="right", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column(f"file in {shown_path(folder)}/", overflow="fold")
    for step in done.steps:
        table.add_row(
            step.name,
            "" if step.score is None else f"{step.score:.2%}",
            f"{step.seconds:.1f}",
            step.detail,
            step.path.relative_to(folder).as_posix(),
        )
    console.print(table)
    console.print()
    seen = "  ".join(picture.predictions[0].character for picture in done.pictures)
    console.print(f"read from the pictures: {seen}")
    console.print(done.verdict)
    console.print(done.test_verdict)
    if done.report is not None:
        console.print(f"report: {shown_path(done.report)}")
    console.print(f"{done.seconds:.0f} seconds in all")
