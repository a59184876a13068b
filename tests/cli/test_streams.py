"""Standard streams as odd as they come: closed, on a full disk, with few letters."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = line.replace("toolkit", f"'{sys.executable}' -m toolkit", 1)
    return subprocess.run(
        ["bash", "-c", f"{command}; echo $?"], capture_output=True, text=True, cwd=folder, check=True
    )


BROKEN = """
import os
from types import SimpleNamespace
import click
from toolkit import hookimpl
from toolkit.cli import main
from toolkit.declarations import Command
from toolkit.host.catalog import Catalog
from toolkit.host.manager import PluginManager

@click.command()
def break_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    os.write(writer, b"nobody reads this")

manager = PluginManager()
hook = hookimpl(lambda: [Command(name="break", summary="Breaks", load=lambda: break_pipe)])
manager.register(SimpleNamespace(toolkit_commands=hook), name="breaks")
Catalog.load = classmethod(lambda cls, environ=None: cls(manager))
main.toolkit.main(["break"])
"""


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("toolkit models find >&-", "0"),
        ("toolkit models find >&- 2>&- <&-", "0"),
        ("toolkit --output json models find >&-", "0"),
        ("toolkit models nothing 2>&-", "2"),
        ("toolkit models nothing 2>/dev/full", "2"),
        ("toolkit models find >/dev/full", "7"),
    ],
)
def test_a_stream_that_takes_nothing_changes_no_status(line: str, status: str, tmp_path: Path) -> None:
    done = shell(line, tmp_path)
    assert done.stdout.strip() == status
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "line",
    ["toolkit plugins list | head -1", "toolkit --output json plugins list | true", "toolkit --help | true"],
)
def test_a_reader_that_leaves_is_no_failure(line: str, tmp_path: Path) -> None:
    command = line.replace("toolkit", f"'{sys.executable}' -m toolkit", 1)
    done = subprocess.run(
        ["bash", "-c", f"{command} >/dev/null; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_broken_pipe_of_another_kind_is_a_failure(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BROKEN], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 1
    assert "BrokenPipeError" in done.stderr


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    script = (
        "import os\n"
        "from toolkit.cli.streams import prepare_streams\n"
        "prepare_streams()\n"
        "print('nobody hears this')\n"
        "raise SystemExit(os.open('file', os.O_CREAT | os.O_WRONLY))\n"
    )
    done = subprocess.run(
        ["bash", "-c", '"$0" -c "$1" <&- >&- 2>&-', sys.executable, script], cwd=tmp_path, check=False
    )
    assert done.returncode >= 3
    assert (tmp_path / "file").read_bytes() == b""


def test_an_encoding_without_our_letters_gets_its_own(run_toolkit: Callable[..., Any]) -> None:
    done = run_toolkit("datasets", "list", environ={"PYTHONIOENCODING": "ascii"})
    assert done.status == 0
    assert "28x28" in done.out
    unknown = run_toolkit("plugins", "show", "字", environ={"PYTHONIOENCODING": "ascii"})
    assert (unknown.status, r"'\u5b57'" in unknown.err) == (2, True)
