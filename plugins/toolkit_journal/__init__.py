"""A journal of every training: one line of JSON for each event, in the run's folder."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit import hookimpl
from toolkit.types import RunListener


@hookimpl
def toolkit_run_listeners() -> Iterable[RunListener]:
    """Declare the journal."""
    from toolkit_journal.journal import write_down

    yield RunListener(
        name="journal",
        summary="Appends every event of a training to events.jsonl in the run's folder",
        hear=write_down,
    )
