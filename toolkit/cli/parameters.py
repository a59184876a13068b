"""Kinds of values that several commands take."""

from __future__ import annotations

from typing import Any

import click

from toolkit.errors import UsageError
from toolkit.types import Convention


class ConventionType(click.ParamType):
    """A pixel convention: ``transposed/unit/light``."""

    name = "convention"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Convention:
        """From text to a convention; a usage error if it is none."""
        if isinstance(value, Convention):
            return value
        try:
            return Convention.parse(str(value))
        except UsageError as error:
            self.fail(str(error), param, ctx)


convention_option = click.option(
    "--convention",
    type=ConventionType(),
    metavar="ORIENTATION/SCALE/INK",
    help="How the model wants its pixels, where its card does not say: transposed/unit/light.",
)
"""Adds ``--convention`` to a command."""
