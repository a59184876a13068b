"""``toolkit datasets``."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolkit.cli.datasets import _show
from toolkit.cli.output import make_console
from toolkit.operations.datasets import DatasetDetails, FoundDataset

Run = Callable[..., Any]


def write_digits(folder: Path, part: str = "train", rows: int = 60) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(part)
    lines = (
        ",".join(map(str, [row % 10, *(chance.randrange(256) for _ in range(784))])) + "\n"
        for row in range(rows)
    )
    (folder / f"emnist-digits-{part}.csv").write_text("".join(lines))


def test_list_shows_what_there_is_and_what_is_taken(run_toolkit: Run, tmp_path: Path) -> None:
    write_digits(tmp_path / "datasets/deep")
    done = run_toolkit("datasets", "list", "--output", "json")
    assert done.status == 0
    found = {dataset["name"]: dataset for dataset in done.document["datasets"]}
    assert found["digits"]["default"]
    assert found["digits"]["files"] == {"train": "datasets/deep/emnist-digits-train.csv"}
    assert found["glyphs"]["files"] == {}
    assert not found["glyphs"]["default"]
    text = run_toolkit("datasets", "list").out
    assert "(default)" in text
    assert max(map(len, text.splitlines())) <= 120


def test_show_counts_by_split_and_class_in_80_columns(run_toolkit: Run, tmp_path: Path) -> None:
    write_digits(tmp_path / "datasets")
    write_digits(tmp_path / "datasets", "test", rows=20)
    details = run_toolkit("datasets", "show", "--output", "json").document
    assert details["classes"] == list("0123456789")
    counts = details["splits"]
    assert counts["fit"]["images"] + counts["validation"]["images"] == 60
    assert counts["test"]["by_class"] == [2] * 10
    done = run_toolkit("datasets", "show", "digits", environ={"COLUMNS": "80"})
    assert max(map(len, done.out.splitlines())) <= 80
    assert "fit  val.  test" in done.out


def test_show_takes_options_of_the_loader(run_toolkit: Run) -> None:
    arguments = ("datasets", "show", "stripes", "-o", "loader.images=90", "--output", "json")
    details = run_toolkit(*arguments, plugins=["good"]).document
    assert {name: counts["images"] for name, counts in details["splits"].items()}["test"] == 30


def test_show_prints_a_few_of_many_files(capsys: pytest.CaptureFixture[str]) -> None:
    files = {str(number): Path(f"many/{number}.png") for number in range(1_000)}
    found = FoundDataset("many", "loader", "", files, 0, default=False)
    _show(DatasetDetails(found, ("a",), {}, {}), make_console(sys.stdout))
    out = capsys.readouterr().out
    assert "many/5.png" in out
    assert "and 994 more" in out
    assert "many/6.png" not in out


def test_show_tells_of_a_part_that_is_not_there(run_toolkit: Run, tmp_path: Path) -> None:
    write_digits(tmp_path / "datasets")
    done = run_toolkit("datasets", "show", "datasets/emnist-digits-train.csv", "--output", "json")
    assert "no test file" in done.document["missing"]["test"]


def test_a_damaged_file_is_one_line_with_row_and_column(run_toolkit: Run, tmp_path: Path) -> None:
    write_digits(tmp_path / "datasets")
    path = tmp_path / "datasets/emnist-digits-train.csv"
    lines = path.read_text().splitlines()
    lines[6] = lines[6].replace(",", ",256,", 1).rpartition(",")[0]
    path.write_text("\n".join(lines))
    done = run_toolkit("datasets", "show", "digits")
    assert done.status == 3
    assert done.out == ""
    assert len(done.err.splitlines()) == 1
    assert (
        "emnist-digits-train.csv: row 7, column 2: expected a pixel from 0 to 255, received '256'" in done.err
    )


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("show", "klingon"), 3, "there is no such data set"),
        (("get", "bycass"), 2, "toolkit datasets get byclass"),
        (("get", "byclass", "--url", "ftp://somewhere/x"), 2, "https://"),
        (("make", "byclass"), 2, "cannot be made"),
    ],
)
def test_mistakes_are_reported(run_toolkit: Run, arguments: tuple[str, ...], status: int, words: str) -> None:
    done = run_toolkit("datasets", *arguments)
    assert done.status == status
    assert words in done.err
    assert "Traceback" not in done.err
