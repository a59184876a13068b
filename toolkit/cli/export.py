"""``toolkit export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli.context import Toolkit, common_options, options_option, pass_toolkit
from toolkit.cli.output import shown_path

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.operations.export import Exported


@click.command("export")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--to", required=True, metavar="NAME", help="The exporter: onnx, onnx-tf2onnx, h5, keras, …")
@click.option("--out", type=click.Path(path_type=Path), metavar="PATH", help="By default beside the model.")
@click.option(
    "--dataset", metavar="NAME|PATH", help="Whose images prove the export; by default the model's own."
)
@options_option("the exporter")
@common_options
@pass_toolkit
def command(
    toolkit: Toolkit, model: Path, to: str, out: Path | None, dataset: str | None, options: tuple[str, ...]
) -> None:
    """Write a model for other programs.

    The file is proved against the model before it appears: same classes, same probabilities.
    """
    from toolkit.operations.export import export

    exported = export(toolkit, model, to=to, out=out, options=options, dataset=dataset)
    toolkit.output.result(exported, lambda console: _print(exported, console))


def _print(exported: Exported, console: Console) -> None:
    console.print(f"{shown_path(exported.path)}  {exported.size / 1e6:.2f} MB, by {exported.exporter}")
    for name, value in exported.facts.items():
        shown = f"{value:.2g}" if isinstance(value, float) else str(value)
        console.print(f"  {name.replace('_', ' ')}: {shown}")
    console.print(f"  sha256: {exported.sha256}")
