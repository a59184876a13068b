"""``toolkit sheet``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from toolkit.store import publish_bytes
from toolkit.types import SplitName
from toolkit_sheet.drawing import sheet_png
from toolkit_sheet.host import HasOutput, open_dataset


@click.command("sheet")
@click.option(
    "--dataset", metavar="NAME|PATH", help="Data set to draw; by default the best in the workspace."
)
@click.option(
    "--split",
    type=click.Choice(["fit", "validation", "test"]),
    default="test",
    show_default=True,
    help="Which part of it.",
)
@click.option(
    "--per-class",
    type=click.IntRange(1, 100),
    default=10,
    show_default=True,
    help="Examples of each class.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("sheet.png"),
    show_default=True,
    help="PNG file to write.",
)
@click.pass_context
def command(context: click.Context, dataset: str | None, split: SplitName, per_class: int, out: Path) -> None:
    """Draw a contact sheet of a data set: a row for each class, examples beside its character."""
    opened = open_dataset(getattr(context.obj, "toolkit", None), dataset, split)
    publish_bytes(out, sheet_png(opened, per_class))
    text = f"{out}: {opened.name}, {split}, {len(opened.classes)} classes"
    if isinstance(context.obj, HasOutput) and context.obj.output.json:
        document = {
            "sheet": str(out),
            "dataset": opened.name,
            "split": split,
            "classes": len(opened.classes),
            "per_class": per_class,
        }
        click.echo(json.dumps(document))
    else:
        click.echo(text)
