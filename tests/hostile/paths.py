"""Hostile names, and what is no file."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from registry import hostile
from small_networks import write_h5

PATH = "path"


@hostile(PATH, "pipe.h5", "a pipe that nobody writes to")
def _(path: Path) -> None:
    os.mkfifo(path)


@hostile(PATH, "pipe.keras", "a pipe named .keras")
def _(path: Path) -> None:
    os.mkfifo(path)


@hostile(PATH, "pipe.onnx", "a pipe named .onnx")
def _(path: Path) -> None:
    os.mkfifo(path)


@hostile(PATH, "socket.h5", "a socket")
def _(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the address of a socket is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


@hostile(PATH, "loop.h5", "a link that leads to itself")
def _(path: Path) -> None:
    path.symlink_to(path.name)


@hostile(PATH, "nowhere.h5", "a link that leads nowhere")
def _(path: Path) -> None:
    path.symlink_to("not-there")


@hostile(PATH, "zeros.h5", "a link to /dev/zero")
def _(path: Path) -> None:
    path.symlink_to("/dev/zero")


@hostile(PATH, "terminal.h5", "a link to /dev/tty")
def _(path: Path) -> None:
    path.symlink_to("/dev/tty")


@hostile(PATH, "process.h5", "a link to the memory of the process")
def _(path: Path) -> None:
    path.symlink_to("/proc/self/mem")


@hostile(PATH, "folder.h5", "a folder")
def _(path: Path) -> None:
    path.mkdir()


@hostile(PATH, "missing/below.h5", "a file below a folder that is not there")
def _(path: Path) -> None:
    assert not path.exists()


@hostile(PATH, "below-a-file.h5/a.h5", "a file below a file")
def _(path: Path) -> None:
    path.parent.write_bytes(b"")


@hostile(PATH, f"{'long' * 60}.h5", "a name of 243 letters", "read")
def _(path: Path) -> None:
    write_h5(path)


@hostile(PATH, f"{'longer' * 900}.h5", "a name of 5,403 letters")
def _(_: Path) -> None:
    pass


@hostile(
    PATH, "\x1b]0;gone\x07\x9b2J\nerror: all\u202efine\u200f.h5", "control characters in the name", "read"
)
def _(path: Path) -> None:
    write_h5(path)


@hostile(PATH, "\x1b[31mred\r.h5", "control characters in the name of an empty file")
def _(path: Path) -> None:
    path.write_bytes(b"")


@hostile(PATH, "not-utf-8-\udcff\udcfe.h5", "a name that is not UTF-8", "read")
def _(path: Path) -> None:
    write_h5(path)


@hostile(PATH, "--help.h5", "a name that begins like an option", "read")
def _(path: Path) -> None:
    write_h5(path)


@hostile(PATH, "pipe-beside.h5", "a pipe in place of the card")
def _(path: Path) -> None:
    write_h5(path)
    os.mkfifo(path.with_name("pipe-beside.card.json"))


@hostile(PATH, "loop-beside.h5", "a link that leads to itself in place of the card")
def _(path: Path) -> None:
    write_h5(path)
    path.with_name("loop-beside.card.json").symlink_to("loop-beside.card.json")


@hostile(PATH, "not-readable.h5", "a file without permission to read it")
def _(path: Path) -> None:
    write_h5(path)
    path.chmod(0)
