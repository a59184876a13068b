"""Names with control characters cannot move the terminal's cursor or forge a line."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolkit.cli.failures import Failure, report
from toolkit.cli.output import Output, make_console
from toolkit.cli.progress import LineProgress
from toolkit.cli.tables import print_facts, print_rows
from toolkit.cli.visible import visible

Run = Callable[..., Any]

EVIL = "\x1b]0;gone\x07\x9b2J\nerror: all\u202efine"
SHOWN = r"\x1b]0;gone\x07\x9b2J\nerror: all\u202efine"


def clean(text: str) -> bool:
    return not set(text) & set("\x1b\x07\x9b\u202e") and "\nerror: all" not in text


def test_a_data_set_with_control_characters_in_its_path(run_toolkit: Run, tmp_path: Path) -> None:
    folder = tmp_path / "datasets" / EVIL
    folder.mkdir(parents=True)
    rows = (",".join(map(str, [row % 10, *[row] * 784])) + "\n" for row in range(40))
    (folder / "emnist-digits-train.csv").write_text("".join(rows))
    for arguments in (("list",), ("show", "digits")):
        done = run_toolkit("datasets", *arguments)
        assert done.status == 0
        assert clean(done.out + done.err), arguments
        assert r"datasets/\x1b]0;gone\x07" in done.out


def test_a_model_with_control_characters_in_its_name(run_toolkit: Run, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / f"{EVIL}.h5").write_bytes(b"no model")
    for arguments in (("find",), ("verify",), ("show", f"models/{EVIL}.h5")):
        done = run_toolkit("models", *arguments)
        assert clean(done.out + done.err), arguments
        assert SHOWN in done.out + done.err
    shown = run_toolkit("models", "find", "--output", "json")
    assert shown.document["models"][0]["path"] == f"models/{EVIL}.h5"


def test_every_invisible_character_is_escaped_and_no_other() -> None:
    categories = {"Cc", "Cf", "Zl", "Zp", "Cs"}
    for code in range(0x110000):
        one = chr(code)
        assert (visible(one) != one) == (unicodedata.category(one) in categories), hex(code)
    assert visible("a\u200f\u061c\ufeff\xad\u2060\udcffb") == r"a\u200f\u061c\ufeff\xad\u2060\udcffb"
    assert visible("née 日本\xa0\U0001f600") == "née 日本\xa0\U0001f600"


def test_everything_that_is_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    stream = io.StringIO()
    console = make_console(stream)
    print_rows(console, ("name",), [(EVIL,)])
    print_facts(console, {"name": EVIL, "files": [EVIL, EVIL]})
    console.print(EVIL.replace("\n", ""))
    LineProgress(stream).note(EVIL)
    assert clean(stream.getvalue())
    assert stream.getvalue().count("\n") == 7
    output = Output()
    output.log_to(tmp_path / "log")
    output.warn(EVIL)
    report(Failure("not_found", f"2 problems:\n  {EVIL}\n  b", EVIL, 3), output)
    said = capsys.readouterr().err
    assert clean(said)
    assert said.splitlines()[1:] == ["error: 2 problems:", f"  {SHOWN}", "  b", f"({SHOWN})"]
    assert "\x1b" not in (tmp_path / "log").read_text()
