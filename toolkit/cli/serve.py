"""``toolkit serve``."""

from __future__ import annotations

import sys

import click

from toolkit.cli.context import Toolkit, common_options, pass_toolkit


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=5000,
    show_default=True,
    help="The port to listen on; 0 for any that is free.",
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="A name by which clients reach this server, as in the Host header; may be given several times.",
)
@common_options
@pass_toolkit
def command(toolkit: Toolkit, host: str, port: int, allowed_hosts: tuple[str, ...]) -> None:
    """Serve the models over HTTP, until Ctrl-C.

    Listens on this machine alone unless --host says otherwise; then, and where you wish, clients
    must send the token in the variable TOOLKIT_TOKEN as `Authorization: Bearer …`.
    """
    try:
        from toolkit.web import WebSettings, create_app
        from toolkit.web.server import serve
    except ModuleNotFoundError as error:
        if error.name not in ("flask", "waitress"):
            raise
        from toolkit.errors import ConfigurationError

        raise ConfigurationError(
            f"{error.name} is not installed", hint="pip install 'modelops-toolkit[serve]'"
        ) from error
    settings = WebSettings.from_environment(host, port, allowed_hosts)
    app = create_app(toolkit, settings)
    say = sys.stderr

    def ready(address: str) -> None:
        print(f"serving {toolkit.workspace.models} at {address} (Ctrl-C stops it)", file=say, flush=True)

    serve(app, settings, ready)
    if not toolkit.output.quiet:
        print("stopped", file=say, flush=True)
