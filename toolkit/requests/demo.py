"""The request of ``toolkit demo``."""

from pathlib import Path

from toolkit.options import option
from toolkit.records import dataclass


@dataclass(frozen=True)
class Demo:
    """Train, merge, export and predict on the embedded data set."""

    folder: Path | None = option(None, help="folder for all results; by default demo/ in the workspace")
