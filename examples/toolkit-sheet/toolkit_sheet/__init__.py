"""Contact sheets of data sets, as a command and over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from toolkit import hookimpl
from toolkit.types import Command, Routes, lazy

if TYPE_CHECKING:
    import click


def _load_command() -> click.Command:
    from toolkit_sheet.command import command

    return command


@hookimpl
def toolkit_commands() -> Iterable[Command]:
    """Declare ``toolkit sheet``."""
    yield Command(name="sheet", summary="Draw a contact sheet of a data set.", load=_load_command)


@hookimpl
def toolkit_routes() -> Iterable[Routes]:
    """Declare ``/plugins/sheet/<dataset>.png``."""
    load = lazy("toolkit_sheet.routes:make_blueprint")
    yield Routes(name="sheet", summary="contact sheets of data sets, as PNG", load=load)
