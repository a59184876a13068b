"""Tables that are complete in a pipe and on a narrow terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.cli.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console, JustifyMethod
    from rich.table import Table
    from rich.text import Text

_NAME = 24
_GAP = 2


def print_rows(
    console: Console,
    titles: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    numbers: Sequence[str] = (),
    folded: Sequence[str] = (),
    headed: bool = True,
) -> None:
    """Print rows as a table; ``numbers`` are aligned to the right, ``folded`` columns made to fit."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", show_header=headed)
    for title in titles:
        justify: JustifyMethod = "right" if title in numbers else "left"
        no_wrap = title not in (folded or titles[:1])
        table.add_column(title, justify=justify, no_wrap=no_wrap, overflow="fold")
    for row in rows:
        table.add_row(*(visible(cell) if isinstance(cell, str) else cell for cell in row))
    if folded:
        console.print(table)
    else:
        print_table(console, table)


def print_facts(console: Console, facts: Mapping[str, str | Sequence[str]]) -> None:
    """Print names in bold and what is known of each; facts without a text are left out.

    A text of several lines is given as a list of them.
    """
    from rich.table import Table

    grid = Table(box=None, show_header=False, pad_edge=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in facts.items():
        if text:
            lines = [text] if isinstance(text, str) else text
            grid.add_row(name, "\n".join(map(visible, lines)))
    console.print(grid)


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
        first, *others = table.columns
        for name, *values in zip(first.cells, *(column.cells for column in others), strict=True):
            console.print(name, style="bold")
            for column, value in zip(others, values, strict=True):
                if str(value):
                    console.print(f"  {column.header}:", value)
