"""Commands and routes of plugins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.declarations.options import Declaration

if TYPE_CHECKING:
    import click
    import flask


@dataclass(frozen=True, kw_only=True)
class Command(Declaration):
    """A command of the command line, ``toolkit NAME``.

    Attributes:
        load: Returns the command; called when it is run or its help is shown.
    """

    load: Callable[[], click.Command]


@dataclass(frozen=True, kw_only=True)
class Routes(Declaration):
    """Routes of the HTTP API, below ``/plugins/NAME``.

    Attributes:
        load: Returns the routes; called when the server starts.
    """

    load: Callable[[], flask.Blueprint]
