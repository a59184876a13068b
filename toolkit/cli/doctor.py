"""``toolkit doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from toolkit.cli.context import CommandLine, pass_command_line
from toolkit.cli.tables import print_rows

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.operations.doctor import Diagnosis

_SIGNS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "problem": ("PROBLEM", "bold red")}


@click.command("doctor")
@pass_command_line
def command(command_line: CommandLine) -> None:
    """Check the installation and the workspace, and remove unfinished files of crashed processes.

    The exit status is 2 if there is a problem to fix.
    """
    from toolkit.operations.doctor import check_installation

    findings = check_installation(command_line.toolkit)
    command_line.output.result({"findings": findings}, lambda console: _print(findings, console))
    if any(finding.state == "problem" for finding in findings):
        raise click.exceptions.Exit(2)


def _print(findings: tuple[Diagnosis, ...], console: Console) -> None:
    from rich.text import Text

    rows = [(finding.subject, Text(*_SIGNS[finding.state]), finding.detail) for finding in findings]
    print_rows(console, ("subject", "state", "detail"), rows, folded=("detail",), headed=False)
