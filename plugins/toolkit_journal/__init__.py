"""A journal of every training: one line of JSON for each event, in the run's folder."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit import hookimpl
from toolkit.types import RunEvent, RunListener


def _write_down(event: RunEvent) -> None:
    from toolkit_journal.journal import write_down

    write_down(event)


@hookimpl
def toolkit_run_listeners() -> Iterable[RunListener]:
    """Declare the journal."""
    yield RunListener(
        name="journal",
        summary="Appends every event of a training to events.jsonl in the run's folder",
        hear=_write_down,
    )
