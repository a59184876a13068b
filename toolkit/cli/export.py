"""``toolkit export``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from toolkit.cli.context import CommandLine, common_options, pass_request
from toolkit.cli.output import shown_path
from toolkit.cli.parameters import (
    DATASET,
    EXPORTER,
    MODEL,
    OUTPUT_PATH,
    convention_option,
    force_option,
    options_option,
)
from toolkit.requests.export import Export
from toolkit.vocabulary import file_size

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.operations.export import Exported


@click.command("export")
@click.argument("model", type=MODEL)
@click.option(
    "--to", type=EXPORTER, required=True, metavar="NAME", help="Exporter: onnx, onnx-tf2onnx, h5, keras, …"
)
@click.option("--out", type=OUTPUT_PATH, metavar="PATH", help="Output; by default beside the model.")
@click.option(
    "--dataset",
    type=DATASET,
    metavar="NAME|PATH",
    help="Data set used to verify the export; by default the model's training data.",
)
@convention_option
@options_option("the exporter")
@force_option
@common_options
@pass_request(Export)
def command(command_line: CommandLine, request: Export) -> None:
    """Write a model for other programs.

    The file is verified before it is saved: same classes, same probabilities.
    """
    from toolkit.operations.export import export

    exported = export(command_line.toolkit, request, command_line.output.progress())
    command_line.output.result(exported, lambda console: _print(exported, console))


def _print(exported: Exported, console: Console) -> None:
    console.print(f"{shown_path(exported.path)}  {file_size(exported.size)}")
    console.print(f"verified: {exported.verified}")
