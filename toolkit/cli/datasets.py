"""``toolkit datasets``: list, show, get, make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli.context import CommandLine, pass_request
from toolkit.cli.jsonable import shown_path
from toolkit.cli.parameters import DATASET, FOLDER, request_options
from toolkit.cli.tables import print_facts, print_rows
from toolkit.cli.visible import visible
from toolkit.requests.datasets import GetDataset, ListDatasets, MakeDataset, ShowDataset
from toolkit.vocabulary import file_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from toolkit.operations.datasets import DatasetDetails, FoundDataset, WrittenDataset

_WIDTH = 80
_MOST_PATHS = 6


@click.group("datasets")
def command() -> None:
    """List, show, download and make data sets."""


@command.command("list")
@pass_request(ListDatasets)
def list_command(command_line: CommandLine, request: ListDatasets) -> None:
    """List all data sets.

    Data sets are searched for in datasets/, in data/ and in the workspace itself.
    """
    datasets = command_line.toolkit.list_datasets(request, progress=command_line.output.progress())
    command_line.output.result({"datasets": datasets}, lambda console: _list(datasets, console))


@command.command("show")
@click.argument("name", required=False, type=DATASET)
@request_options(ShowDataset, "options")
@pass_request(ShowDataset)
def show(command_line: CommandLine, request: ShowDataset) -> None:
    """Count the images of a data set by split and class.

    NAME is a data set's name, a folder or one of its files. Without it, the data set is the one
    that training uses by default.
    """
    details = command_line.toolkit.show_dataset(request, progress=command_line.output.progress())
    command_line.output.result(details, lambda console: _show(details, console))


@command.command("get")
@click.argument("variant")
@request_options(GetDataset, "url", out=FOLDER)
@pass_request(GetDataset)
def get(command_line: CommandLine, request: GetDataset) -> None:
    """Download a data set.

    VARIANT is byclass, bymerge, balanced, letters, digits or mnist, all from NIST's archive.
    An interrupted download continues where it stopped. Size and SHA-256 are checked.
    """
    written = command_line.toolkit.get_dataset(request, progress=command_line.output.progress())
    command_line.output.result(written, lambda console: _written(written, console))


@command.command("make")
@click.argument("name")
@request_options(MakeDataset, "format", "seed", "force", "options", out=FOLDER)
@pass_request(MakeDataset)
def make(command_line: CommandLine, request: MakeDataset) -> None:
    """Write a computed data set to files.

    NAME is a data set that the toolkit computes: glyphs.
    """
    written = command_line.toolkit.make_dataset(request, progress=command_line.output.progress())
    command_line.output.result(written, lambda console: _written(written, console))


def _list(datasets: tuple[FoundDataset, ...], console: Console) -> None:
    if not datasets:
        console.print("no data sets; `toolkit datasets get byclass` downloads one")
        return
    rows = []
    for dataset in datasets:
        folders = dict.fromkeys(path if path.is_dir() else path.parent for path in dataset.files.values())
        summary = f"{dataset.summary} (default)" if dataset.default else dataset.summary
        size = file_size(dataset.size) if dataset.files else ""
        rows.append((dataset.name, size, summary, ", ".join(_first(list(folders))) or "computed"))
    titles = ("data set", "size", "summary", "where")
    print_rows(console, titles, rows, numbers=("size",), folded=("summary", "where"))


def _show(details: DatasetDetails, console: Console) -> None:
    from rich.columns import Columns

    facts: dict[str, str | list[str]] = {
        "data set": f"{details.dataset.name}: {details.dataset.summary}",
        "classes": f"{len(details.classes)}: {''.join(details.classes)}",
    }
    facts |= {name: f"{counts.images:,} images" for name, counts in details.splits.items()}
    facts |= {name: f"missing: {reason}" for name, reason in details.missing.items()}
    facts["files"] = _first(list(details.dataset.files.values()))
    print_facts(console, facts)
    console.print()
    rows = [["", *(name if name != "validation" else "val." for name in details.splits)]]
    for index, character in enumerate(details.classes):
        rows.append(
            [visible(character), *(f"{counts.by_class[index]:,}" for counts in details.splits.values())]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    # In as many columns as fit.
    console.print(Columns(lines, padding=(0, 4), column_first=True), width=_WIDTH)


def _first(paths: Sequence[Path]) -> list[str]:
    """The first few paths, and how many more there are."""
    more = len(paths) - _MOST_PATHS
    return [*map(shown_path, paths[:_MOST_PATHS]), *([f"and {more:,} more"] if more > 0 else [])]


def _written(written: WrittenDataset, console: Console) -> None:
    for path in written.files:
        console.print(shown_path(path))
