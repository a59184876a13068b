"""A journal of every training: one line of JSON for each event, in the run's folder."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit import hookimpl
from toolkit.types import RunListener, lazy


@hookimpl
def toolkit_run_listeners() -> Iterable[RunListener]:
    """Declare the journal."""
    yield RunListener(
        name="journal",
        summary="Appends every event of a training to events.jsonl in the run's folder",
        hear=lazy("toolkit_journal.journal:write_down"),
    )
