"""``toolkit export``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from toolkit.cli.context import CommandLine, pass_request
from toolkit.cli.jsonable import shown_path
from toolkit.cli.parameters import ARCHITECTURE, DATASET, EXPORTER, MODEL, OUTPUT_PATH, request_options
from toolkit.requests.export import Export
from toolkit.vocabulary import file_size

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.operations.export import Exported


@click.command("export")
@click.argument("model", type=MODEL)
@click.argument("others", nargs=-1, type=MODEL, metavar="[MODEL]…")
@request_options(
    Export,
    *("convention", "conform", "options", "force"),
    arch=ARCHITECTURE,
    to=EXPORTER,
    out=OUTPUT_PATH,
    dataset=DATASET,
)
@pass_request(Export)
def command(command_line: CommandLine, request: Export) -> None:
    """Write a model for other programs.

    The file is verified before it is saved: same classes, same probabilities. Only an exporter that makes
    one file of several models takes more than one MODEL.
    """
    exported = command_line.toolkit.export(request, progress=command_line.output.progress())
    verbose = command_line.output.verbose
    command_line.output.result(exported, lambda console: _print(exported, console, verbose=verbose))


def _print(exported: Exported, console: Console, *, verbose: bool) -> None:
    console.print(f"{shown_path(exported.path)}  {file_size(exported.size)}")
    console.print(f"verified: {exported.verified}")
    for name, value in {**exported.facts, "sha256": exported.sha256}.items() if verbose else ():
        console.print(f"{name.replace('_', ' ')}: {value}")
