"""``toolkit ink``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from toolkit import Toolkit


@click.command("ink")
@click.argument("dataset")
@click.pass_obj
def command(command_line: Any, dataset: str) -> None:
    """Print the share of ink in the test images of DATASET."""
    toolkit: Toolkit = command_line.toolkit
    share = float(toolkit.open_dataset(dataset, "test").images.mean()) / 255
    command_line.output.result({"ink": share}, lambda console: console.print(f"{share:.1%}"))
