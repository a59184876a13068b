"""The requests of ``toolkit runs``."""

from toolkit.options import option
from toolkit.records import dataclass


@dataclass(frozen=True)
class ListRuns:
    """List the runs of the workspace."""


@dataclass(frozen=True)
class ShowRun:
    """Show one run with its history."""

    run: str = option(help="name of the run, a path, or latest")


@dataclass(frozen=True)
class RemoveRuns:
    """Remove runs with everything in their folders."""

    runs: tuple[str, ...] = option(help="names of runs")
