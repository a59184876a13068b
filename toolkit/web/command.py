"""``toolkit serve``; the command line knows it by name only, and neither package imports the other."""

from __future__ import annotations

from typing import Any

import click

from toolkit.operations.toolkit import Toolkit


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=5000,
    show_default=True,
    help="Port to listen on; 0 for any free one.",
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Allowed Host header, a name of this server; may be given several times.",
)
@click.pass_obj
def command(command_line: Any, host: str, port: int, allowed_hosts: tuple[str, ...]) -> None:
    """Serve the models over HTTP, until Ctrl-C.

    Only this machine can connect, unless --host is given. Then the variable TOOLKIT_TOKEN must be set,
    and clients must send it as `Authorization: Bearer …`.
    """
    try:
        from toolkit.web.app import create_app
        from toolkit.web.server import serve
        from toolkit.web.settings import WebSettings
    except ModuleNotFoundError as error:
        if error.name not in ("flask", "waitress"):
            raise
        from toolkit.errors import ConfigurationError

        raise ConfigurationError(
            f"{error.name} is not installed", hint="pip install 'modelops-toolkit[serve]'"
        ) from error
    toolkit: Toolkit = command_line.toolkit
    settings = WebSettings.from_environment(host, port, allowed_hosts)
    app = create_app(toolkit, settings)

    def ready(address: str) -> None:
        click.echo(f"serving {toolkit.workspace.models} at {address} (Ctrl-C stops it)", err=True)

    serve(app, settings, ready)
    click.echo("stopped", err=True)
