"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.vocabulary import Convention

INPUT_PATH = click.Path(path_type=Path, readable=False)
"""A file or folder to be read; whoever opens it says what is wrong with it, as of an input."""


def _parsed(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Convention | None:
    return None if value is None else Convention.parse(value)


convention_option = click.option(
    "--convention",
    callback=_parsed,
    metavar="ORIENTATION/SCALE/INK",
    help="How the model wants its pixels, where its card does not say: transposed/unit/light.",
)
"""Adds ``--convention`` to a command."""
