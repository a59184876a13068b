"""Calls the listeners of a run."""

from __future__ import annotations

import logging

from toolkit.declarations import RunEvent, RunListener
from toolkit.vocabulary import Progress

_log = logging.getLogger(__name__)


def notify_listeners(listeners: list[RunListener], event: RunEvent, progress: Progress) -> None:
    """Call every listener; one that fails is removed from the list."""
    for listener in tuple(listeners):
        try:
            listener.hear(event)
        except Exception as error:  # noqa: BLE001 - third-party code may fail in any way
            listeners.remove(listener)
            progress.note(
                f"listener {listener.name} failed and is not called again in this run: "
                f"{type(error).__name__}: {error}"
            )
            _log.debug("listener %s failed", listener.name, exc_info=True)
