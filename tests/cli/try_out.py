"""The program in this process, with one plugin whose command is ``try-out``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import NoReturn

import click
from click.testing import CliRunner, Result

from toolkit import hookimpl
from toolkit.cli.context import CommandLine, pass_command_line
from toolkit.cli.main import toolkit as program
from toolkit.declarations import Command
from toolkit.host.catalog import Catalog
from toolkit.host.manager import PluginManager


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
        obj=CommandLine(lambda: Catalog(manager)),
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
    @click.option("-o", "--option", "options", multiple=True)
    @click.option("--times", type=int, default=1)
    @pass_command_line
    def command(command_line: CommandLine, options: tuple[str, ...], times: int) -> None:
        """Try things out."""
        output = command_line.output
        seen = {
            "json": output.json,
            "quiet": output.quiet,
            "debug": output.debug,
            "workspace": command_line.toolkit.workspace.root,
            "options": options,
            "times": times,
        }
        output.result(seen, lambda console: console.print(f"times {times}"))

    return command
