"""The program ``toolkit``: a lazy group of built-in commands and of plugins' commands."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from toolkit.cli.commands import BUILTIN_COMMANDS, module_of
from toolkit.cli.context import CommandLine, settings_of, with_common_options, with_environment
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
from toolkit.errors import UsageError, did_you_mean, shown
from toolkit.host.kinds import COMMANDS
from toolkit.version import __version__

if TYPE_CHECKING:
    from toolkit.operations.toolkit import Toolkit


ENVIRONMENT_PREFIX = "TOOLKIT"


class Commands(click.Group):
    """The commands by name; a command's module is imported when it is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The built-in commands in the order of their use, then the plugins'."""
        return list(_summaries(_toolkit_of(ctx)))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Import a command, and give it the common options and its environment variables."""
        if cmd_name in BUILTIN_COMMANDS:
            command = importlib.import_module(module_of(cmd_name)).command
            assert isinstance(command, click.Command)
        else:
            command = _load_plugin_command(_toolkit_of(ctx), cmd_name)
        name = cmd_name.rpartition(":")[2]
        return with_common_options(with_environment(command, ENVIRONMENT_PREFIX, name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from their summaries; loads none of them."""
        toolkit = _toolkit_of(ctx)
        sections = {
            "Commands": BUILTIN_COMMANDS,
            "Commands of plugins": _plugin_commands(toolkit),
            "Hidden by a built-in command": hidden_commands(toolkit),
        }
        for title, summaries in sections.items():
            if summaries:
                with formatter.section(title):
                    formatter.write_dl(list(summaries.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name; Click's own completion of groups would load every command."""
        summaries = _summaries(_toolkit_of(ctx)).items()
        found = [CompletionItem(name, help=text) for name, text in summaries if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

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
            status, result = self._run(arguments, prog_name or "toolkit", complete_var, extra)
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
        self, arguments: list[str], prog_name: str, complete_var: str | None, extra: dict[str, Any]
    ) -> tuple[int, Any]:
        """The exit status and the result."""
        command_line: CommandLine = extra["obj"]
        output = command_line.output
        try:
            self._main_shell_completion({"obj": command_line}, prog_name, complete_var)
            with self.make_context(prog_name, arguments, **extra) as context:
                return 0, self.invoke(context)
        except click.exceptions.Exit as request:
            return request.exit_code, None
        except click.exceptions.NoArgsIsHelpError as request:
            if not output.json:
                request.show()
                return USAGE, None
            hint = f"see {request.ctx.command_path} --help"
            failure = Failure("usage", "a command is missing", hint, USAGE)
        except SystemExit:
            raise
        except BaseException as error:
            if isinstance(error, BrokenPipeError) and reader_has_gone():
                raise
            output.close()
            failure = failure_of(error, debug=output.debug, plugins=command_line.plugins_seen)
        report(failure, output)
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


def _toolkit_of(context: click.Context) -> Toolkit:
    return context.ensure_object(CommandLine).toolkit


def _plugin_commands(toolkit: Toolkit) -> dict[str, str]:
    """The summary of each command that a plugin adds."""
    commands = toolkit.catalog.all(COMMANDS).items()
    return {name: command.summary for name, command in commands if command.name not in BUILTIN_COMMANDS}


def _summaries(toolkit: Toolkit) -> dict[str, str]:
    """The summary of each command that can be typed."""
    return {**BUILTIN_COMMANDS, **_plugin_commands(toolkit)}


def _load_plugin_command(toolkit: Toolkit, name: str) -> click.Command:
    commands = toolkit.catalog.all(COMMANDS)
    if not any(name in (key, declared.name) for key, declared in commands.items()) and ":" not in name:
        option = did_you_mean(f"--{name.lower()}", ["--version", "--help"], cutoff=1)
        nearest = option or did_you_mean(name, _summaries(toolkit), cutoff=0.5)
        raise UsageError(
            f"there is no command {shown(name)}", hint=nearest or "`toolkit --help` lists the commands"
        )
    return toolkit.catalog.get(COMMANDS, name).load()


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    # A second signal must not interrupt the clean-up that the first has started.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


if __name__ == "__main__":
    main()
