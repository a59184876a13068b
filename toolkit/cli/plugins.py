"""``toolkit plugins``: list, show and check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from toolkit.cli.context import CommandLine, pass_request
from toolkit.cli.tables import print_rows
from toolkit.declared_options import range_words
from toolkit.requests.plugins import CheckPlugins, ListPlugins, ShowPlugin

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.operations.plugins import ContributionDetails, PluginCheck, PluginDetails, PluginSummary

STYLES = {"loaded": "green", "broken": "red", "disabled": "yellow"}


@click.group("plugins")
def command() -> None:
    """List, show and check the plugins."""


@command.command("list", short_help="List every plugin and what it contributes.")
@pass_request(ListPlugins)
def list_command(command_line: CommandLine, request: ListPlugins) -> None:
    """List every plugin: its state, what it contributes, and why a broken one is not loaded."""
    from toolkit.cli.main import hidden_commands

    plugins = command_line.toolkit.list_plugins(request, progress=command_line.output.progress())
    hidden = hidden_commands(command_line.toolkit)
    command_line.output.result(
        {"plugins": plugins, "hidden_commands": hidden}, lambda console: _list(plugins, console)
    )
    if not command_line.output.json:
        for name, whose in hidden.items():
            command_line.output.warn(f"command {whose} is hidden by the built-in one; type {name}")


@command.command("show", short_help="Show a plugin or a contribution with its options.")
@click.argument("name")
@pass_request(ShowPlugin)
def show_command(command_line: CommandLine, request: ShowPlugin) -> None:
    """Show a plugin or a contribution with its options.

    NAME is a plugin, a distribution, a contribution, or `train` for the options of every training.
    """
    details = command_line.toolkit.show_plugin(request, progress=command_line.output.progress())
    command_line.output.result(details, lambda console: _show(details, console))


@command.command("check", short_help="Check every plugin against its contract.")
@pass_request(CheckPlugins)
def check_command(command_line: CommandLine, request: CheckPlugins) -> None:
    """Check every plugin against its contract. The exit status is 2 if one breaks it."""
    checks = command_line.toolkit.check_plugins(request, progress=command_line.output.progress())
    command_line.output.result(
        {"ok": not any(check.problems for check in checks), "plugins": checks},
        lambda console: _check(checks, console),
    )
    if any(check.problems for check in checks):
        click.get_current_context().exit(2)


def _list(plugins: tuple[PluginSummary, ...], console: Console) -> None:
    from rich.text import Text

    rows = []
    for plugin in plugins:
        style, source = STYLES[plugin.state], f"{plugin.distribution} {plugin.version}".strip()
        lines = [f"{kind}: {', '.join(names)}" for kind, names in plugin.contributes.items()]
        contributes = Text("\n".join(lines) or "nothing")
        last = contributes if plugin.state == "loaded" else Text(plugin.cause, style)
        rows.append((plugin.name, Text(plugin.state, style), source, last))
    print_rows(console, ("plugin", "state", "from", "contributes"), rows, folded=("from", "contributes"))


def _show(details: PluginDetails, console: Console) -> None:
    for plugin in details.plugins:
        console.print(f"plugin {plugin}", style="bold", end=": ")
        console.print(plugin.state, style=STYLES[plugin.state])
        _indented(console, f"module: {plugin.module}" if plugin.module else "")
        _indented(console, f"hooks: {', '.join(plugin.hooks)}" if plugin.hooks else "")
        _indented(console, f"cause: {plugin.cause}" if plugin.cause else "", STYLES[plugin.state])
        _indented(console, plugin.traceback.rstrip(), "dim")
    for number, contribution in enumerate(details.contributions):
        if number or details.plugins:
            console.print()
        _show_contribution(contribution, console)


def _show_contribution(contribution: ContributionDetails, console: Console) -> None:
    from rich.padding import Padding
    from rich.table import Table

    console.print(f"{contribution.kind} {contribution.name}", style="bold")
    _indented(console, contribution.summary)
    whose = f"from: {contribution.plugin} of {contribution.distribution}"
    _indented(console, whose if contribution.plugin else "")
    if contribution.also_claimed_by:
        others = ", ".join(contribution.also_claimed_by)
        name = f"{contribution.distribution}:{contribution.name}"
        _indented(console, f"also claimed by {others}: use {name}", "yellow")
    for name, value in contribution.facts.items():
        _indented(console, f"{name.replace('_', ' ')}: {value}")
    if contribution.options:
        table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("option", no_wrap=True)
        for title, width in (("type", 20), ("default", 12), ("range", 16), ("what it does", None)):
            table.add_column(title, overflow="fold", max_width=width)
        for option in contribution.options:
            values = range_words(option.minimum, option.maximum)
            table.add_row(option.name, option.type, _default(option.default), values, option.help)
        console.print(Padding(table, (0, 0, 0, 2)))


def _indented(console: Console, text: str, style: str = "") -> None:
    """Print a text, if there is one, indented by two spaces, continuation lines too."""
    from rich.padding import Padding
    from rich.text import Text

    if not text:
        return
    if console.soft_wrap:
        console.print("\n".join(f"  {line}" for line in text.splitlines()), style=style)
    else:
        console.print(Padding(Text(text, style), (0, 0, 0, 2)))


def _default(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return ",".join(str(part) for part in value) or "empty"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check(checks: tuple[PluginCheck, ...], console: Console) -> None:
    for check in checks:
        name, number = f"{check.plugin} ({check.distribution} {check.version})", len(check.problems)
        if check.state == "disabled":
            console.print(f"{name}: disabled, not checked", style="yellow")
        elif number:
            console.print(f"{name}: {number} problem{'s' if number > 1 else ''}", style="red")
        else:
            console.print(f"{name}: good", style="green")
        for problem in check.problems:
            _indented(console, str(problem))
