"""``toolkit export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli.context import CommandLine, common_options, options_option, pass_command_line
from toolkit.cli.output import shown_path
from toolkit.cli.parameters import INPUT_PATH

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.operations.export import Exported


@click.command("export")
@click.argument("model", type=INPUT_PATH)
@click.option("--to", required=True, metavar="NAME", help="The exporter: onnx, onnx-tf2onnx, h5, keras, …")
@click.option("--out", type=click.Path(path_type=Path), metavar="PATH", help="By default beside the model.")
@click.option(
    "--dataset", metavar="NAME|PATH", help="Whose images prove the export; by default the model's own."
)
@options_option("the exporter")
@common_options
@pass_command_line
def command(
    command_line: CommandLine,
    model: Path,
    to: str,
    out: Path | None,
    dataset: str | None,
    options: tuple[str, ...],
) -> None:
    """Write a model for other programs.

    The file is proved against the model before it appears: same classes, same probabilities.
    """
    from toolkit.operations.export import export

    exported = export(command_line.toolkit, model, to=to, out=out, options=options, dataset=dataset)
    command_line.output.result(exported, lambda console: _print(exported, console))


def _print(exported: Exported, console: Console) -> None:
    console.print(f"{shown_path(exported.path)}  {exported.size / 1e6:.2f} MB, by {exported.exporter}")
    for name, value in {**exported.facts, "sha256": exported.sha256}.items():
        line = f"  {name.replace('_', ' ')}: {_fact(value)}"
        # A digest is for copying: it stays in one piece.
        fits = console.soft_wrap or len(line) <= console.width
        console.print(line if fits else line.replace(": ", ":\n    ", 1))


def _fact(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
