"""Options of a contribution that has none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NoOptions:
    """The options of a contribution that has none."""
