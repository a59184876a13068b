"""Results on stdout, progress on stderr, both as the user asked."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from toolkit import Toolkit
from toolkit.cli.context import CommandLine
from toolkit.cli.jsonable import to_jsonable
from toolkit.cli.main import toolkit as program
from toolkit.cli.output import Output
from toolkit.cli.progress import BarProgress, LineProgress
from toolkit.declarations import Need
from toolkit.operations.export import Exported
from toolkit.vocabulary import Convention, SilentProgress


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Colour(StrEnum):
    DARK_RED = "x"


@dataclass(frozen=True)
class Thing:
    path: Path
    score: float
    counts: tuple[int, ...]


def test_values_become_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    thing = Thing(tmp_path / "models" / "a.h5", float("nan"), (1, 2))
    value = {
        "thing": thing,
        Need.SCORES: {Need.IMAGES, Need.SCORES},
        Path("b"): np.float32(0.5),
        "array": np.array([[1, 2]]),
        "view": MappingProxyType({1: None}),
        "colour": Colour.DARK_RED,
        "infinite": np.array([np.inf, 1.0]),
        "dtype": np.dtype("float32"),
        "dtypes": {np.dtype("uint8"): 1},
        "convention": Convention("transposed"),
        "date": date(2026, 1, 2),
    }
    assert to_jsonable(value) == {
        "thing": {"path": "models/a.h5", "score": None, "counts": [1, 2]},
        "scores": ["images", "scores"],
        "b": 0.5,
        "array": [[1, 2]],
        "view": {"1": None},
        "colour": "dark_red",
        "infinite": [None, 1.0],
        "dtype": "float32",
        "dtypes": {"uint8": 1},
        "convention": "transposed/unit/light",
        "date": "2026-01-02",
    }
    json.dumps(to_jsonable(value), allow_nan=False)


@pytest.mark.parametrize("value", [object(), b"bytes", len, 1 + 2j])
def test_every_value_has_a_form_in_json(value: object) -> None:
    assert to_jsonable([value]) == [str(value)]


def test_a_log_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(program, ["--log-file", str(tmp_path / "none" / "x.log"), "plugins", "list"])
    assert done.exit_code == 7
    assert "No such file or directory (name another log file)" in done.output


def test_the_log_file_has_notes_and_warnings_even_if_quiet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "toolkit.log"
    path.write_text("of yesterday\n")
    output = Output()
    output.quiet = True
    output.log_to(path)
    output.progress().note("epoch 1")
    output.progress().begin("train", 1, "epochs")
    output.progress().note("chosen: byclass")
    output.warn("worse")
    first, *lines = path.read_text().splitlines()
    assert first == "of yesterday"
    assert [line.partition(" ")[2] for line in lines] == [
        "epoch 1",
        "chosen: byclass",
        "warning: worse",
    ]
    assert capsys.readouterr().err == "warning: worse\n"


def test_a_result_is_one_document_or_text(capsys: pytest.CaptureFixture[str]) -> None:
    Output(json=True).result({"name": "é"}, lambda console: console.print("never"))
    assert json.loads(capsys.readouterr().out) == {"name": "é"}
    Output().result({}, lambda console: console.print("[0] a file called [bold].h5 :smile:"))
    assert capsys.readouterr().out == "[0] a file called [bold].h5 :smile:\n"


def test_a_long_path_stays_in_one_piece_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/".join(["folder"] * 60)
    Output().result({}, lambda console: console.print(path))
    assert capsys.readouterr().out == f"{path}\n"


def test_notes_and_progress_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.progress().note("chosen: byclass")
    output.warn("not better than the best ingredient")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "chosen: byclass\nwarning: not better than the best ingredient\n"


def test_quiet_keeps_back_all_but_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.quiet = True
    output.progress().note("chosen: byclass")
    assert isinstance(output.progress(), SilentProgress)
    output.warn("worse")
    assert capsys.readouterr().err == "warning: worse\n"


def test_in_a_log_long_work_says_every_ten_seconds_how_far_it_is() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = LineProgress(stream, clock)
    progress.begin("read", 2000, "images")
    for done in range(1, 2001):
        clock.seconds += 0.0126
        progress.advance(done, "fine")
    progress.end()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0] == "read: 794 of 2,000 images  fine"


def test_in_a_log_quick_work_says_nothing() -> None:
    stream = io.StringIO()
    progress = LineProgress(stream, Clock())
    progress.begin("read", 100, "images")
    for done in range(1, 101):
        progress.advance(done)
    progress.note("done")
    assert stream.getvalue() == "done\n"


def test_a_bar_fits_into_80_columns_and_notes_are_above_it() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, no_color=True)
    progress = BarProgress(console)
    progress.begin("train", 10, "epochs")
    progress.advance(3, "loss 0.4321  accuracy 0.8765  12,345 images a second and more")
    progress.note("a note")
    progress.begin("recalibrate", 5000, "images")
    progress.advance(5000)
    progress.end()
    shown = stream.getvalue()
    assert "a note" in shown
    assert "3/10" in shown
    assert "5000/5000" in shown
    assert shown.rstrip().endswith("\x1b[?25h")


def test_an_export_prints_two_facts_and_with_verbose_all(monkeypatch: pytest.MonkeyPatch) -> None:
    exported = Exported(Path("a.onnx"), 1_720_000, "onnx", "on 64 images", "ab" * 32, {"opset": 17})
    monkeypatch.setattr(Toolkit, "export", lambda *_, **__: exported)
    arguments = ["export", "a.h5", "--to", "onnx"]
    short = CliRunner().invoke(program, arguments, obj=CommandLine())
    assert (short.stdout, short.stderr) == ("a.onnx  1.64 MiB\nverified: on 64 images\n", "")
    long = CliRunner().invoke(program, [*arguments, "-v"], obj=CommandLine())
    assert long.stdout == f"{short.stdout}opset: 17\nsha256: {'ab' * 32}\n"
    document = json.loads(
        CliRunner().invoke(program, [*arguments, "--output=json"], obj=CommandLine()).stdout
    )
    assert document["facts"] == {"opset": 17}
