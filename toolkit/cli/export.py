"""``toolkit export``."""

from __future__ import annotations

import dataclasses
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
@click.option("--opset", type=int, help="Version of ONNX' operators; the same as -o opset=N.")
@click.option("--keep-batch-norm", is_flag=True, help="Do not fold it; the same as -o keep_batch_norm=true.")
@click.option(
    "--with-preprocessing",
    is_flag=True,
    help="uint8 pictures in, label and top 5 out; the same as -o with_preprocessing=true.",
)
@pass_request(Export)
def command(
    command_line: CommandLine,
    request: Export,
    opset: int | None,
    keep_batch_norm: bool,  # noqa: FBT001 - as Click passes flags
    with_preprocessing: bool,  # noqa: FBT001
) -> None:
    """Write a model for other programs.

    The file is verified before it is saved: same classes, same probabilities. Only an exporter that makes
    one file of several models takes more than one MODEL.
    """
    stated = {
        "opset": opset,
        "keep_batch_norm": keep_batch_norm or None,
        "with_preprocessing": with_preprocessing or None,
    }
    short = (f"{name}={value}".lower() for name, value in stated.items() if value is not None)
    request = dataclasses.replace(request, options=(*request.options, *short))
    exported = command_line.toolkit.export(request, progress=command_line.output.progress())
    verbose = command_line.output.verbose
    command_line.output.result(exported, lambda console: _print(exported, console, verbose=verbose))


def _print(exported: Exported, console: Console, *, verbose: bool) -> None:
    console.print(f"{shown_path(exported.path)}  {file_size(exported.size)}")
    console.print(f"verified: {exported.verified}")
    for name, value in {**exported.facts, "sha256": exported.sha256}.items() if verbose else ():
        console.print(f"{name.replace('_', ' ')}: {value}")
