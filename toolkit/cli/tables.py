"""Tables that are complete in a pipe and on a narrow terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console, JustifyMethod
    from rich.table import Table

_NAME = 24
_GAP = 2


def print_rows(
    console: Console, titles: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = ()
) -> None:
    """Print rows of cells as a table; columns titled in ``numbers`` are aligned to the right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        justify: JustifyMethod = "right" if title in numbers else "left"
        table.add_column(title, justify=justify, no_wrap=title != titles[0], overflow="fold")
    for row in rows:
        table.add_row(*row)
    print_table(console, table)


def print_table(console: Console, table: Table) -> None:
    """Print a table as wide as its cells need.

    In a pipe every row is one line. On a terminal that is too narrow for the columns, each row
    becomes a record: its first cell, then one line for each other cell with its title.
    Only the first column, the name of the row, may be folded.
    """
    from rich.measure import Measurement

    unlimited = console.options.update(max_width=10_000)
    needed = [
        max(Measurement.get(console, unlimited, cell).maximum for cell in (column.header, *column.cells))
        for column in table.columns
    ]
    if console.soft_wrap:
        width = sum(needed) + _GAP * len(needed)
        for line in console.render_lines(table, unlimited.update(width=width), pad=False):
            console.print("".join(segment.text for segment in line).rstrip(), style="")
    elif min(needed[0], _NAME) + sum(needed[1:]) + _GAP * (len(needed) - 1) <= console.width:
        console.print(table)
    else:
        _print_records(console, table)


def _print_records(console: Console, table: Table) -> None:
    first, *others = table.columns
    for name, *values in zip(first.cells, *(column.cells for column in others), strict=True):
        console.print(name, style="bold")
        for column, value in zip(others, values, strict=True):
            if str(value):
                console.print(f"  {column.header}:", value)
