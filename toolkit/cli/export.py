"""``toolkit export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli.context import CommandLine, common_options, options_option, pass_command_line
from toolkit.cli.output import shown_path
from toolkit.cli.parameters import INPUT_PATH, convention_option

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.operations.export import Exported
    from toolkit.vocabulary import Convention


@click.command("export")
@click.argument("model", type=INPUT_PATH)
@click.option("--to", required=True, metavar="NAME", help="Exporter: onnx, onnx-tf2onnx, h5, keras, …")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="PATH", help="Output; by default beside the model."
)
@click.option(
    "--dataset",
    metavar="NAME|PATH",
    help="Data set used to verify the export; by default the model's training data.",
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
@convention_option
@options_option("the exporter")
@common_options
@pass_command_line
def command(
    command_line: CommandLine,
    model: Path,
    to: str,
    out: Path | None,
    dataset: str | None,
    force: bool,  # noqa: FBT001 - Click passes it by name
    convention: Convention | None,
    options: tuple[str, ...],
) -> None:
    """Write a model for other programs.

    The file is verified before it is saved: same classes, same probabilities.
    """
    from toolkit.operations.export import export
    from toolkit.requests.export import Export

    request = Export(model, to, out, options, dataset, convention, force)
    exported = export(command_line.toolkit, request)
    command_line.output.result(exported, lambda console: _print(exported, console))


def _print(exported: Exported, console: Console) -> None:
    console.print(f"{shown_path(exported.path)}  {exported.size / 1e6:.2f} MB")
    console.print(f"verified: {exported.verified}")
