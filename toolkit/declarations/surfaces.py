"""Commands and routes of plugins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click
    import flask


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of its own beside the built-in ones; ``load`` is called when it is run."""

    name: str
    summary: str
    load: Callable[[], click.Command]


@dataclass(frozen=True, kw_only=True)
class Routes:
    """Routes of its own, mounted under ``/plugins/<name>``."""

    name: str
    summary: str
    load: Callable[[], flask.Blueprint]
