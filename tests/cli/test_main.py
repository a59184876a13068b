"""The program: start-up, help, options that every command has."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from click.testing import CliRunner, Result
from try_out import reporting, run

from toolkit import hookimpl
from toolkit.cli.commands import BUILTIN_COMMANDS
from toolkit.cli.context import CommandLine
from toolkit.cli.main import toolkit as program
from toolkit.declarations import Command
from toolkit.host.catalog import Catalog
from toolkit.host.manager import PluginManager
from toolkit.operations.toolkit import Toolkit

HEAVY = {
    "numpy",
    "h5py",
    "onnx",
    "onnxruntime",
    "pandas",
    "flask",
    "matplotlib",
    "msgspec",
    "jinja2",
    "cv2",
    "tensorflow",
    "keras",
    "scipy",
    "PIL",
    "rich",
}
BAD_PLUGINS = ("broken-import", "misspelt-hook", "name-taken")


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
    assert len(modules) < 260, len(modules)


def test_help_lists_every_command_with_its_summary() -> None:
    shown = run(reporting, "--help").output
    for name, summary in BUILTIN_COMMANDS.items():
        assert f"  {name}" in shown
        assert summary in shown
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


def test_commands_work_with_the_public_toolkit() -> None:
    assert type(CommandLine().toolkit) is Toolkit


@pytest.mark.parametrize("before", [True, False])
def test_common_options_are_given_before_or_after_the_command(before: bool, tmp_path: Path) -> None:
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


def test_a_built_in_name_wins_and_that_is_said() -> None:
    def toolkit_commands() -> Iterable[Command]:
        yield Command(name="plugins", summary="Mine", load=reporting)

    manager = PluginManager()
    manager.register(
        SimpleNamespace(toolkit_commands=hookimpl(toolkit_commands)), name="grabs", distribution="grabs-dist"
    )

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(program, list(arguments), obj=CommandLine(lambda: Catalog(manager)))

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
