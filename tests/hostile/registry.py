"""The list of hostile files: each is a function that writes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Outcome = Literal["refused", "shown", "read"]
Write = Callable[[Path], None]


@dataclass(frozen=True)
class HostileFile:
    """A file, and what must become of it.

    Attributes:
        name: File name.
        outcome: ``refused`` in every verb; ``shown``, but refused where it would be run; or ``read``
            correctly.
    """

    group: str
    name: str
    what: str
    outcome: Outcome
    write: Write


FILES: list[HostileFile] = []


def hostile(group: str, name: str, what: str, outcome: Outcome = "refused") -> Callable[[Write], Write]:
    """Add the function's file to the list."""

    def add(write: Write) -> Write:
        assert name not in {file.name for file in FILES}
        FILES.append(HostileFile(group, name, what, outcome, write))
        return write

    return add
