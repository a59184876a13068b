"""The request of ``toolkit demo``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toolkit.options import option


@dataclass(frozen=True)
class Demo:
    """Train, merge, export and predict on the embedded data set."""

    folder: Path | None = option(None, help="folder for all results; by default demo/ in the workspace")
