"""Options that several commands take."""

from __future__ import annotations

import click

from toolkit.types import Convention


def _parsed(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Convention | None:
    return None if value is None else Convention.parse(value)


convention_option = click.option(
    "--convention",
    callback=_parsed,
    metavar="ORIENTATION/SCALE/INK",
    help="How the model wants its pixels, where its card does not say: transposed/unit/light.",
)
"""Adds ``--convention`` to a command."""
