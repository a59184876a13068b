"""The program ``toolkit``: a lazy group of built-in commands and of plugins' commands."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from toolkit.cli.commands import BUILTIN_COMMANDS, BuiltinCommand
from toolkit.cli.context import (
    CommandLine,
    command_line_of,
    settings_of,
    with_common_options,
    with_environment,
)
from toolkit.cli.failures import (
    USAGE,
    Failure,
    Terminated,
    failure_of,
    reader_has_gone,
    report,
    silence_closed_streams,
)
from toolkit.cli.streams import prepare_streams
from toolkit.errors import UsageError
from toolkit.host.kinds import COMMANDS
from toolkit.version import __version__

if TYPE_CHECKING:
    from toolkit.declarations import Command
    from toolkit.operations.toolkit import Toolkit


ENVIRONMENT_PREFIX = "TOOLKIT"


class Commands(click.Group):
    """The commands by name; a command's module is imported when it is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The built-in commands in the order of their use, then the plugins'."""
        return [*BUILTIN_COMMANDS, *_plugin_commands(command_line_of(ctx).toolkit)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Import a command.

        Raises:
            UsageError: If there is no such command.
            PluginError: If a plugin's command cannot be loaded, or two plugins claim it.
        """
        builtin = BUILTIN_COMMANDS.get(cmd_name)
        if builtin is not None:
            command = importlib.import_module(builtin.module).command
            assert isinstance(command, click.Command)
        else:
            command = _load_plugin_command(command_line_of(ctx).toolkit, cmd_name)
        name = cmd_name.rpartition(":")[2].upper().replace("-", "_").replace(".", "_")
        return with_common_options(with_environment(command, f"{ENVIRONMENT_PREFIX}_{name}"))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from their summaries; loads none of them."""
        toolkit = command_line_of(ctx).toolkit
        with formatter.section("Commands"):
            formatter.write_dl([(name, builtin.summary) for name, builtin in BUILTIN_COMMANDS.items()])
        added = _plugin_commands(toolkit)
        if added:
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, command.summary) for name, command in added.items()])
        hidden = hidden_commands(toolkit)
        if hidden:
            with formatter.section("Hidden by a built-in command"):
                formatter.write_dl(list(hidden.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name from the summaries; loads none of them."""
        commands: dict[str, BuiltinCommand | Command] = {
            **BUILTIN_COMMANDS,
            **_plugin_commands(command_line_of(ctx).toolkit),
        }
        items = [
            CompletionItem(name, help=command.summary)
            for name, command in commands.items()
            if name.startswith(incomplete)
        ]
        # The group's own completions would load every command.
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - Click's signature
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002, ARG002 - Click's signature
        **extra: Any,
    ) -> Any:
        """Run the program; :mod:`toolkit.cli.failures` reports every failure.

        Click renders ``--help`` and checks arguments while it makes the context, so making the context
        and invoking the command have the same error handling.
        """
        arguments = list(sys.argv[1:] if args is None else args)
        command_line = extra.setdefault("obj", CommandLine())
        command_line.output = settings_of(arguments, os.environ)
        try:
            status, result = self._run(arguments, command_line, prog_name or "toolkit", complete_var, extra)
            sys.stdout.flush()
        except BrokenPipeError:
            # A reader that does not want the rest is not a failure.
            silence_closed_streams()
            status, result = 0, None
        finally:
            command_line.output.close()
        if standalone_mode:
            sys.exit(status)
        return result if status == 0 else status

    def _run(
        self,
        arguments: list[str],
        command_line: CommandLine,
        prog_name: str,
        complete_var: str | None,
        extra: dict[str, Any],
    ) -> tuple[int, Any]:
        try:
            self._main_shell_completion({"obj": command_line}, prog_name, complete_var)
            with self.make_context(prog_name, arguments, **extra) as context:
                return 0, self.invoke(context)
        except click.exceptions.Exit as request:
            return request.exit_code, None
        except click.exceptions.NoArgsIsHelpError as request:
            return _show_help(request, command_line), None
        except SystemExit:
            raise
        except BaseException as error:
            if isinstance(error, BrokenPipeError) and reader_has_gone():
                raise
            command_line.output.close()
            failure = failure_of(error, debug=command_line.output.debug, plugins=command_line.plugins_seen)
            report(failure, command_line.output)
            return failure.exit_status, None


@click.command(
    "toolkit",
    cls=Commands,
    context_settings={"auto_envvar_prefix": ENVIRONMENT_PREFIX, "help_option_names": ["-h", "--help"]},
    epilog="Every option has an environment variable, such as TOOLKIT_OUTPUT or TOOLKIT_TRAIN_EPOCHS.",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def toolkit() -> None:
    """Train, merge, export and serve networks that read handwritten characters."""


with_common_options(toolkit, environment=True)


def main() -> None:
    """Run the program of the command line and end the process."""
    prepare_streams()
    # Only the main thread may set handlers; an embedding program keeps its own.
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGTERM, _terminate)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    toolkit.main(prog_name="toolkit")


def hidden_commands(toolkit: Toolkit) -> dict[str, str]:
    """Plugins' commands that a built-in command hides: what to type for each, and its plugin."""
    return {
        contribution.qualified_name: f"{contribution.name!r} of the plugin {contribution.owner}"
        for contribution in toolkit.catalog.contributions(COMMANDS)
        if contribution.name in BUILTIN_COMMANDS
    }


def _plugin_commands(toolkit: Toolkit) -> dict[str, Command]:
    return {
        name: command
        for name, command in toolkit.catalog.all(COMMANDS).items()
        if command.name not in BUILTIN_COMMANDS
    }


def _load_plugin_command(toolkit: Toolkit, name: str) -> click.Command:
    commands = toolkit.catalog.all(COMMANDS)
    if not any(name in (key, declared.name) for key, declared in commands.items()) and ":" not in name:
        names = [*BUILTIN_COMMANDS, *_plugin_commands(toolkit)]
        options = ["--version", "--help"]
        meant = [option for option in options if option.strip("-") == name.lower()]
        near = meant or difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        raise UsageError(
            f"there is no command {name!r}",
            hint=f"did you mean {near[0]}?" if near else "`toolkit --help` lists the commands",
        )
    return toolkit.catalog.get(COMMANDS, name).load()


def _show_help(request: click.exceptions.NoArgsIsHelpError, command_line: CommandLine) -> int:
    """Answer a group without a command: with its help, or with an error in JSON."""
    if command_line.output.json:
        hint = f"see {request.ctx.command_path} --help"
        report(Failure("usage", "a command is missing", hint, USAGE), command_line.output)
    else:
        request.show()
    return USAGE


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    # A second signal must not interrupt the clean-up that the first has started.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


if __name__ == "__main__":
    main()
