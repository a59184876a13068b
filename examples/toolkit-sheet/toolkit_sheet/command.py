"""``toolkit sheet``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from toolkit.errors import UsageError
from toolkit.store import publish_bytes
from toolkit.types import SplitName
from toolkit_sheet.drawing import sheet_png

DEFAULT_OUT = Path("sheet.png")


@click.command("sheet")
@click.option(
    "--dataset",
    metavar="NAME|PATH",
    help="Data set to draw; by default the first that `toolkit datasets list` shows.",
)
@click.option(
    "--split",
    type=click.Choice(["fit", "validation", "test"]),
    default="test",
    show_default=True,
    help="Split to draw.",
)
@click.option(
    "--per-class", type=click.IntRange(1, 100), default=10, show_default=True, help="Images of each class."
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=DEFAULT_OUT,
    show_default=True,
    help="PNG file to write.",
)
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@click.pass_obj
def command(
    command_line: Any,
    dataset: str | None,
    split: SplitName,
    per_class: int,
    out: Path,
    force: bool,  # noqa: FBT001 - Click's signature
) -> None:
    """Draw a contact sheet of a data set: one row for each class, with its character and images."""
    if out.exists() and out != DEFAULT_OUT and not force:
        raise UsageError(f"{out} already exists", hint="replace it with --force, or choose another --out")
    opened = command_line.toolkit.open_dataset(dataset, split)
    publish_bytes(out, sheet_png(opened, per_class))
    document = {
        "sheet": str(out),
        "dataset": opened.name,
        "split": split,
        "classes": len(opened.classes),
        "per_class": per_class,
    }
    text = f"{out}: {opened.name}, {split}, {len(opened.classes)} classes"
    command_line.output.result(document, lambda console: console.print(text))
