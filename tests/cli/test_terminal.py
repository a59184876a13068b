"""The program as a process: readers that leave, signals, terminals."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

WAITING = """
import sys, time
from types import SimpleNamespace
import click
from toolkit import hookimpl
from toolkit.host.catalog import Catalog
from toolkit.cli import main
from toolkit.host.manager import PluginManager
from toolkit.declarations import Command

@click.command()
def wait():
    try:
        print("waiting", file=sys.stderr, flush=True)
        time.sleep(60)
    finally:
        print("cleaned up", file=sys.stderr, flush=True)

manager = PluginManager()
hook = hookimpl(lambda: [Command(name="wait", summary="Waits", load=lambda: wait)])
manager.register(SimpleNamespace(toolkit_commands=hook), name="waits")
Catalog.load = classmethod(lambda cls, environ=None: cls(manager))
sys.argv = ["toolkit", "wait", "--output", "json"]
main.main()
"""


@pytest.mark.parametrize(
    ("number", "status", "code"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_an_interruption_cleans_up_and_has_its_status(number: int, status: int, code: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "waiting\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert err.strip() == "cleaned up"
    assert json.loads(out)["error"]["code"] == code


EARLY = """
import os, signal, sys, threading
number = int(sys.argv.pop(1))
sys.argv = ["toolkit", "plugins", "list"]

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), number)
        return None

from toolkit.__main__ import main
assert "click" not in sys.modules and "pluggy" not in sys.modules
sys.meta_path.insert(0, Interrupt())
main()
"""


@pytest.mark.parametrize(
    ("number", "status", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_an_interruption_while_modules_are_imported_is_one_line(number: int, status: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EARLY, str(number)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (status, f"error: {said}\n")


def on_a_terminal(*arguments: str, environ: dict[str, str] | None = None) -> str:
    """What the program shows on a terminal of 80 columns."""
    leader, follower = pty.openpty()
    settings = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", **(environ or {})}
    with subprocess.Popen(
        [sys.executable, "-m", "toolkit", *arguments], stdout=follower, stderr=follower, env=settings
    ) as process:
        os.close(follower)
        shown = b""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([leader], [], [], 0.5)[0]:
                try:
                    part = os.read(leader, 4096)
                except OSError:
                    break
                if not part:
                    break
                shown += part
            elif process.poll() is not None:
                break
    os.close(leader)
    return shown.decode()


def test_a_long_error_is_wrapped_at_words_on_a_terminal() -> None:
    shown = on_a_terminal("plugins", "show", "no-such-thing-at-all", environ={"NO_COLOR": "1"})
    lines = shown.splitlines()
    assert lines[0].startswith("error: there is no plugin")
    assert len(lines) > 1
    assert all(line.startswith("       ") for line in lines[1:])
    assert max(map(len, lines)) <= 80


def test_colour_only_on_a_terminal_and_not_against_the_users_will() -> None:
    assert "\x1b[" in on_a_terminal("plugins", "list")
    assert "\x1b[" in on_a_terminal("plugins", "show", "nothing-like-it")
    assert "\x1b[3" not in on_a_terminal("plugins", "list", environ={"NO_COLOR": "1"})
    assert "\x1b[" not in on_a_terminal("plugins", "show", "nothing-like-it", environ={"NO_COLOR": "1"})


ENDING = """
import atexit, sys, threading, time
def late():
    time.sleep(0.3)
    print("the thread is done")
sys.argv[0] = "toolkit"
atexit.register(print, "atexit")
sys.stdout = open(1, "w", buffering=4096, closefd=False)  # what is printed waits to be flushed
if {thread}:
    threading.Thread(target=late).start()
from toolkit.__main__ import main
main()
"""


def test_a_text_that_ends_the_process_is_printed_and_its_status_is_1() -> None:
    program = (
        "import sys, toolkit.cli.main\n"
        "toolkit.cli.main.main = lambda: sys.exit('the plugin gave up')\n"
        "from toolkit.__main__ import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "the plugin gave up\n")


@pytest.mark.parametrize("thread", [False, True])
@pytest.mark.parametrize(("argument", "status"), [("--version", 0), ("--nonsense", 2)])
def test_the_end_of_the_process_waits_for_threads_and_calls_what_is_registered(
    thread: bool, argument: str, status: int
) -> None:
    program = ENDING.format(thread=thread)
    done = subprocess.run(
        [sys.executable, "-c", program, argument], capture_output=True, text=True, check=False
    )
    assert done.returncode == status
    assert done.stdout.splitlines()[-1] == "atexit"
    assert ("the thread is done" in done.stdout) == thread
