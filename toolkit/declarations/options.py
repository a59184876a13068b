"""What every declaration has: a name, a summary, and perhaps options."""

from __future__ import annotations

from toolkit.records import dataclass


@dataclass(frozen=True)
class NoOptions:
    """The options of a contribution that has none."""


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What every declaration has.

    Attributes:
        name: What users type: lower-case letters, digits, ``.``, ``_`` and ``-``.
        summary: One line for lists and help.
    """

    name: str
    summary: str
