"""``toolkit datasets``: list, show, get, make."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli.context import CommandLine, common_options, options_option, pass_command_line
from toolkit.cli.output import shown_path

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.operations.datasets import DatasetDetails, FoundDataset, WrittenDataset

_WIDTH = 80
_GAP = 4


@click.group("datasets")
def command() -> None:
    """List, show, download and make data sets."""


@command.command("list")
@common_options
@pass_command_line
def list_command(command_line: CommandLine) -> None:
    """List the data sets that there are.

    They are looked for in datasets/, in data/ and in the workspace itself.
    """
    from toolkit.operations.datasets import list_datasets

    datasets = list_datasets(command_line.toolkit)
    command_line.output.result({"datasets": datasets}, lambda console: _list(datasets, console))


@command.command("show")
@click.argument("name", required=False)
@common_options
@pass_command_line
def show(command_line: CommandLine, name: str | None) -> None:
    """Count the images of a data set by split and class.

    NAME is a data set's name, a folder or one of its files; without it, the one that training
    would take.
    """
    from toolkit.operations.datasets import show_dataset

    details = show_dataset(command_line.toolkit, name)
    command_line.output.result(details, lambda console: _show(details, console))


@command.command("get")
@click.argument("variant")
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where it goes; datasets/ by default.",
)
@click.option("--url", default="", help="Another place to download the same archive from.")
@common_options
@pass_command_line
def get(command_line: CommandLine, variant: str, folder: Path | None, url: str) -> None:
    """Download a data set.

    VARIANT is byclass, bymerge, balanced, letters, digits or mnist, all from NIST's archive.
    An interrupted download goes on where it stopped. Size and SHA-256 are checked.
    """
    from toolkit.operations.datasets import get_dataset

    written = get_dataset(
        command_line.toolkit, variant, command_line.output.progress(), folder=folder, url=url
    )
    command_line.output.result(written, lambda console: _written(written, console))


@command.command("make")
@click.argument("name")
@click.option("--format", "file_format", default="csv", show_default=True, help="How it is written.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all chance.")
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where it goes; datasets/ by default.",
)
@options_option("the data set")
@common_options
@pass_command_line
def make(
    command_line: CommandLine,
    name: str,
    file_format: str,
    seed: int,
    folder: Path | None,
    options: tuple[str, ...],
) -> None:
    """Write a computed data set as files.

    NAME is a data set that the toolkit computes: glyphs.
    """
    from toolkit.operations.datasets import make_dataset

    written = make_dataset(
        command_line.toolkit,
        name,
        command_line.output.progress(),
        file_format=file_format,
        seed=seed,
        options=options,
        folder=folder,
    )
    command_line.output.result(written, lambda console: _written(written, console))


def _list(datasets: tuple[FoundDataset, ...], console: Console) -> None:
    from rich.table import Table

    if not datasets:
        console.print("no data sets; `toolkit datasets get byclass` downloads one")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("data set", no_wrap=True)
    table.add_column("MB", justify="right", no_wrap=True)
    table.add_column("what it is", overflow="fold")
    table.add_column("where", overflow="fold")
    for dataset in datasets:
        folders = {shown_path(path.parent): None for path in dataset.files.values()}
        summary = f"{dataset.summary} (taken by default)" if dataset.default else dataset.summary
        size = f"{dataset.size / 1e6:,.1f}" if dataset.files else ""
        table.add_row(dataset.name, size, summary, ", ".join(folders) or "computed")
    console.print(table)


def _show(details: DatasetDetails, console: Console) -> None:
    from rich.table import Table

    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("data set", f"{details.dataset.name}: {details.dataset.summary}")
    facts.add_row("classes", f"{len(details.classes)}: {''.join(details.classes)}")
    for name, counts in details.splits.items():
        facts.add_row(name, f"{counts.images:,} images")
    for name, reason in details.missing.items():
        facts.add_row(name, f"not there: {reason}")
    for number, path in enumerate(details.dataset.files.values()):
        facts.add_row("files" if number == 0 else "", shown_path(path))
    console.print(facts)
    console.print()
    for line in _counts(details):
        console.print(line, no_wrap=True)


def _counts(details: DatasetDetails) -> list[str]:
    """A table of counts by class, in as many columns beside one another as 80 characters hold."""
    heads = ["", *(name if name != "validation" else "val." for name in details.splits)]
    rows = [
        [character, *(f"{counts.by_class[index]:,}" for counts in details.splits.values())]
        for index, character in enumerate(details.classes)
    ]
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    head = "  ".join(cell.rjust(width) for cell, width in zip(heads, widths, strict=True))
    beside = max(1, min((_WIDTH + _GAP) // (len(head) + _GAP), len(lines)))
    height = -(-len(lines) // beside)
    blocks = [[head, *lines[begin : begin + height]] for begin in range(0, len(lines), height)]
    return [(" " * _GAP).join(cells).rstrip() for cells in zip_longest(*blocks, fillvalue="")]


def _written(written: WrittenDataset, console: Console) -> None:
    for path in written.files:
        console.print(shown_path(path))
