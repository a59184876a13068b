"""Tables in a pipe, on a terminal, and on a narrow one."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from toolkit.cli.predict import print_predictions
from toolkit.cli.tables import print_table
from toolkit.operations.predict import ImagePredictions, Prediction

NAME = "models/glyphs_relative_number_one.h5"


def shown(width: int, *, piped: bool = False) -> list[str]:
    table = Table(box=None, pad_edge=False)
    table.add_column("model", overflow="fold")
    table.add_column("accuracy", justify="right", no_wrap=True)
    table.add_column("weakest", no_wrap=True)
    table.add_row(NAME, "90.43%", "O 37%  v 45%")
    table.add_row("b.h5", "9.43%", "")
    console = Console(file=io.StringIO(), width=width, soft_wrap=piped)
    print_table(console, table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_pipe_gets_whole_lines_without_blanks_at_their_ends() -> None:
    assert shown(20, piped=True) == [
        "model                                 accuracy  weakest",
        f"{NAME}    90.43%  O 37%  v 45%",
        "b.h5                                     9.43%",
    ]


def test_a_name_is_folded_where_the_rest_has_room() -> None:
    lines = shown(50)
    assert max(map(len, lines)) <= 50
    assert "90.43%" in lines[1]
    assert NAME in "".join(line[:26].strip() for line in lines)


def test_a_narrow_terminal_gets_records() -> None:
    assert shown(40) == [
        NAME,
        "  accuracy: 90.43%",
        "  weakest: O 37%  v 45%",
        "b.h5",
        "  accuracy: 9.43%",
    ]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_prediction_stays_in_one_piece(width: int) -> None:
    predictions = tuple(Prediction(character, 0.2) for character in "ABCDEFGH")
    console = Console(file=io.StringIO(), width=width)
    print_predictions((ImagePredictions("picture.png", predictions),), console)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert all(any(f"{letter} 20.0 %" in line for line in lines) for letter in "ABCDEFGH")
