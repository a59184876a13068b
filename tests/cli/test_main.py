"""The program: start-up, exit statuses, errors, options that every command has."""

from __future__ import annotations

import errno
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import click
import pytest
from click.testing import CliRunner, Result

from toolkit import errors, hookimpl
from toolkit.catalog import Catalog
from toolkit.cli.commands import BUILTIN_COMMANDS
from toolkit.cli.context import Toolkit, options_option, pass_toolkit
from toolkit.cli.failures import failure_of
from toolkit.cli.main import toolkit as program
from toolkit.manager import PluginManager
from toolkit.operations.context import Toolkit as OperationsToolkit
from toolkit.store import Workspace
from toolkit.types import Command

HEAVY = {
    "numpy",
    "h5py",
    "onnx",
    "onnxruntime",
    "pandas",
    "flask",
    "matplotlib",
    "tensorflow",
    "keras",
    "scipy",
    "PIL",
    "rich",
}
BAD_PLUGINS = ("broken-import", "misspelt-hook", "name-taken")


def run(load: Callable[[], object] | None, *arguments: str, environ: dict[str, str] | None = None) -> Result:
    """Run the program in this process with one plugin, whose command is ``try-out``."""

    def toolkit_commands() -> Iterable[Command]:
        if load is not None:
            yield Command(name="try-out", summary="Tries things out", load=load)  # type: ignore[arg-type]

    manager = PluginManager()
    manager.register(
        SimpleNamespace(__name__=__name__, toolkit_commands=hookimpl(toolkit_commands)),
        name="tries",
        distribution="tries-dist",
        version="1.0",
    )
    return CliRunner().invoke(
        program,
        list(arguments),
        obj=Toolkit(lambda: Catalog(manager)),
        env=environ or {},
        prog_name="toolkit",
    )


def raising(error: BaseException) -> Callable[[], click.Command]:
    """A command that raises."""

    @click.command("try-out")
    def command() -> NoReturn:
        raise error

    return lambda: command


def reporting() -> click.Command:
    """A command that prints how it was called."""

    @click.command("try-out")
    @options_option("the thing")
    @click.option("--times", type=int, default=1)
    @pass_toolkit
    def command(toolkit: Toolkit, options: tuple[str, ...], times: int) -> None:
        """Try things out."""
        output = toolkit.output
        seen = {
            "json": output.json,
            "quiet": output.quiet,
            "debug": output.debug,
            "workspace": toolkit.workspace.root,
            "options": options,
            "times": times,
        }
        output.result(seen, lambda console: console.print(f"times {times}"))

    return command


def test_help_pulls_in_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from toolkit.cli.main import toolkit\n"
        "try:\n    toolkit.main(['--help'])\n"
        "except SystemExit as end:\n    print(end.code, *sorted(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    status, *modules = done.stderr.split()
    assert status == "0"
    assert "toolkit_soups" in modules
    assert HEAVY.isdisjoint(modules)
    # A budget that only goes down: every module is paid for at every start.
    assert len(modules) < 270, len(modules)


def test_help_takes_less_than_a_third_of_a_second(run_toolkit: Callable[..., Any]) -> None:
    # Processor time, the best of five: the machine may be busy with other things.
    def seconds() -> float:
        before = os.times()
        assert run_toolkit("--help").status == 0
        after = os.times()
        return (after.children_user - before.children_user) + (after.children_system - before.children_system)

    assert min(seconds() for _ in range(5)) < 0.3


def test_help_lists_every_command_with_its_summary() -> None:
    shown = run(reporting, "--help").output
    for name, builtin in BUILTIN_COMMANDS.items():
        assert f"  {name}" in shown
        assert builtin.summary in shown
    assert "try-out  Tries things out" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


@pytest.mark.parametrize("group", ["datasets", "models", "plugins"])
def test_no_summary_is_cut_off(group: str) -> None:
    commands = run(None, group, "--help").output.partition("Commands:")[2]
    assert commands
    assert "..." not in commands


def test_help_loads_no_command() -> None:
    def load() -> NoReturn:
        raise AssertionError("the list of commands must not load one")

    assert run(load, "--help").exit_code == 0


def test_help_works_with_broken_plugins_installed(run_toolkit: Callable[..., Any]) -> None:
    done = run_toolkit("--help", plugins=BAD_PLUGINS)
    assert done.status == 0
    assert done.err == ""
    assert "merge" in done.out


@pytest.mark.parametrize("name", BUILTIN_COMMANDS)
def test_every_built_in_command_is_there_and_has_help(name: str) -> None:
    result = run(None, name, "--help")
    assert result.exit_code == 0, result.output
    assert "--help" in result.output


ENDS: list[tuple[BaseException, int, str]] = [
    (errors.UsageError("no"), 2, "usage"),
    (errors.PlanRefusedError("no"), 2, "plan_refused"),
    (errors.MissingInputError("no"), 3, "not_found"),
    (errors.UnreadableInputError("no"), 3, "unreadable"),
    (errors.IncompatibleModelsError("no"), 4, "incompatible_models"),
    (errors.DamagedFileError("no"), 5, "damaged"),
    (errors.BusyError("no"), 6, "busy"),
    (errors.StorageError("no"), 7, "storage"),
    (errors.LimitReachedError("no"), 8, "limit"),
    (click.UsageError("no"), 2, "usage"),
    (click.BadParameter("no"), 2, "usage"),
    (click.FileError("a.txt"), 3, "not_found"),
    (OSError(errno.ENOSPC, "No space left on device", "models/a.h5"), 7, "storage"),
    (OSError(errno.ENAMETOOLONG, "File name too long", "a" * 300), 2, "usage"),
    (OSError(errno.ENOTDIR, "Not a directory", "a.png/b"), 2, "usage"),
    (UnicodeEncodeError("utf-8", "bad\udcff.h5", 3, 4, "surrogates not allowed"), 2, "usage"),
    (UnicodeEncodeError("ascii", "ä", 0, 1, "ordinal not in range(128)"), 1, "bug"),
    (MemoryError(), 8, "limit"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (click.Abort(), 130, "interrupted"),
    (ValueError("a bug"), 1, "bug"),
    (FileNotFoundError(errno.ENOENT, "No such file", "x"), 1, "bug"),
]


@pytest.mark.parametrize(("error", "status", "code"), ENDS, ids=[repr(end[0]) for end in ENDS])
def test_every_failure_has_its_status_and_its_code(error: BaseException, status: int, code: str) -> None:
    result = run(raising(error), "try-out", "--output", "json")
    assert result.exit_code == status
    document = json.loads(result.stdout)
    assert list(document) == ["error"]
    assert document["error"]["code"] == code
    assert set(document["error"]) == {"code", "message", "hint"}


def test_an_input_without_permission_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whoever runs the tests may be root, who may read everything.
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    (tmp_path / "a.csv").touch()
    error = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "a.csv"))
    assert failure_of(error, debug=False).exit_status == 3
    error = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "new.csv"))
    assert failure_of(error, debug=False).exit_status == 7


def test_commands_have_all_that_the_verbs_work_with(tmp_path: Path) -> None:
    assert set(vars(OperationsToolkit(Workspace(tmp_path)))) <= set(dir(Toolkit()))


def test_an_expected_failure_is_one_line_on_stderr() -> None:
    result = run(
        raising(errors.DamagedFileError("a.h5: its digest differs", hint="train it anew")), "try-out"
    )
    assert result.stdout == ""
    assert result.stderr == "error: a.h5: its digest differs (train it anew)\n"


def test_debug_adds_the_traceback() -> None:
    for arguments in (("--debug", "try-out"), ("try-out", "--debug")):
        result = run(raising(errors.BusyError("held")), *arguments)
        assert "Traceback (most recent call last)" in result.stderr
        assert result.stderr.endswith("error: held\n")
        assert result.exit_code == 6


def test_a_bug_keeps_its_traceback_and_is_laid_at_the_plugins_door() -> None:
    result = run(raising(ValueError("oh no")), "try-out")
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: ValueError: oh no (this is a bug in the plugin tries (tries-dist 1.0)")


def test_a_bug_of_ours_is_called_ours() -> None:
    def load() -> click.Command:
        @click.command()
        @pass_toolkit
        def command(toolkit: Toolkit) -> None:
            toolkit.output.result(object(), lambda _console: None)

        return command

    result = run(load, "try-out", "--output", "json")
    assert json.loads(result.stdout)["error"]["hint"] == "this is a bug; please report it with the traceback"


def test_errors_while_arguments_are_parsed_are_json_too() -> None:
    for arguments in (
        ("--output", "json", "try-out", "--no-such"),
        ("try-out", "--no-such", "--output=json"),
        ("--output", "json", "--no-such"),
        ("--output", "json", "trian"),
        ("--output", "json"),
        ("--output", "json", "plugins"),
    ):
        result = run(reporting, *arguments)
        assert result.exit_code == 2, arguments
        assert json.loads(result.stdout)["error"]["code"] == "usage"


def test_a_failure_behind_the_result_makes_no_second_document() -> None:
    @click.command()
    @pass_toolkit
    def command(toolkit: Toolkit) -> None:
        toolkit.output.result({"done": True}, lambda _console: None)
        raise errors.StorageError("the report could not be written")

    result = run(lambda: command, "try-out", "--output", "json")
    assert json.loads(result.stdout) == {"done": True}
    assert result.stderr == "error: the report could not be written\n"
    assert result.exit_code == 7


def test_a_usage_error_says_where_help_is() -> None:
    result = run(reporting, "try-out", "--times", "many")
    assert result.stderr.startswith("error: Invalid value for '--times'")
    assert result.stderr.endswith("(see toolkit try-out --help)\n")
    assert result.exit_code == 2


def test_an_unknown_command_names_the_nearest() -> None:
    assert run(reporting, "trian").stderr == "error: there is no command 'trian' (did you mean train?)\n"


@pytest.mark.parametrize("before", [True, False])
def test_common_options_stand_before_or_behind_the_command(before: bool, tmp_path: Path) -> None:
    common = ["--output", "json", "--quiet", "--debug", "--workspace", str(tmp_path)]
    result = run(reporting, *([*common, "try-out"] if before else ["try-out", *common]))
    assert json.loads(result.stdout) == {
        "json": True,
        "quiet": True,
        "debug": True,
        "workspace": tmp_path.as_posix(),
        "options": [],
        "times": 1,
    }


def test_every_option_has_an_environment_variable(tmp_path: Path) -> None:
    environ = {
        "TOOLKIT_OUTPUT": "json",
        "TOOLKIT_QUIET": "1",
        "TOOLKIT_WORKSPACE": str(tmp_path),
        "TOOLKIT_TRY_OUT_TIMES": "5",
        "TOOLKIT_TRY_OUT_OPTION": "a=1 b=2",
    }
    seen = json.loads(run(reporting, "try-out", environ=environ).stdout)
    assert (seen["quiet"], seen["times"], seen["options"]) == (True, 5, ["a=1", "b=2"])
    assert seen["workspace"] == tmp_path.as_posix()


def test_what_is_typed_goes_before_the_environment() -> None:
    for arguments in (("--output", "text", "try-out"), ("try-out", "--output", "text")):
        assert run(reporting, *arguments, environ={"TOOLKIT_OUTPUT": "json"}).stdout == "times 1\n"


def test_options_of_a_plugin_are_collected() -> None:
    seen = json.loads(run(reporting, "try-out", "-o", "a=1", "-o", "b=x=y", "--output", "json").stdout)
    assert seen["options"] == ["a=1", "b=x=y"]


def test_a_workspace_that_is_not_there_is_missing_input() -> None:
    result = run(reporting, "--workspace", "nowhere", "try-out")
    assert result.exit_code == 3
    assert "nowhere: the workspace is no folder" in result.stderr


def test_a_command_that_cannot_be_loaded_names_its_plugin() -> None:
    def load() -> NoReturn:
        raise ImportError("no module named left-pad")

    result = run(load, "try-out")
    assert result.exit_code == 2
    assert "of the plugin tries (tries-dist 1.0) cannot be loaded: ImportError: no module" in result.stderr
    assert "load returned a int" in run(lambda: 3, "try-out").stderr


def test_a_built_in_name_wins_and_that_is_said() -> None:
    def toolkit_commands() -> Iterable[Command]:
        yield Command(name="plugins", summary="Mine", load=reporting)

    manager = PluginManager()
    manager.register(
        SimpleNamespace(toolkit_commands=hookimpl(toolkit_commands)), name="grabs", distribution="grabs-dist"
    )

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(program, list(arguments), obj=Toolkit(lambda: Catalog(manager)))

    assert "Hidden by a built-in command:\n  grabs-dist:plugins" in invoke("--help").stdout
    listed = invoke("plugins", "list")
    assert "grabs" in listed.stdout
    assert "type grabs-dist:plugins" in listed.stderr
    assert invoke("grabs-dist:plugins").stdout == "times 1\n"


def test_without_a_command_people_get_the_help() -> None:
    for arguments in ((), ("plugins",)):
        result = run(None, *arguments)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert "Commands:" in result.stderr


def test_version() -> None:
    assert run(None, "--version").stdout.startswith("toolkit ")


def test_completion_offers_commands_without_loading_them(run_toolkit: Callable[..., Any]) -> None:
    environ = {"_TOOLKIT_COMPLETE": "bash_complete", "COMP_WORDS": "toolkit pl", "COMP_CWORD": "1"}
    assert run_toolkit(environ=environ).out.split() == ["plain,plugins"]


def test_a_reader_that_leaves_is_no_traceback(tmp_path: Path) -> None:
    line = f"{sys.executable} -m toolkit plugins list | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "7")


WAITING = """
import sys, time
from types import SimpleNamespace
import click
from toolkit import hookimpl
from toolkit.catalog import Catalog
from toolkit.cli import main
from toolkit.manager import PluginManager
from toolkit.types import Command

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
