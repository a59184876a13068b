"""Calls the listeners of a run."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from toolkit.declarations import RunEvent, RunListener
from toolkit.vocabulary import Progress

_log = logging.getLogger(__name__)


class Listeners:
    """The listeners of one run; one that fails is no longer called, and harms neither run nor others.

    Args:
        listeners: Called in this order.
        progress: Told when a listener fails.
    """

    def __init__(self, listeners: Sequence[RunListener], progress: Progress) -> None:
        self._listeners = list(listeners)
        self._progress = progress

    def notify(self, event: RunEvent) -> None:
        """Call every listener that has not failed."""
        for listener in tuple(self._listeners):
            try:
                listener.hear(event)
            except Exception as error:  # noqa: BLE001 - third-party code may fail in any way
                self._listeners.remove(listener)
                self._progress.note(
                    f"listener {listener.name} failed and is not called again in this run: "
                    f"{type(error).__name__}: {error}"
                )
                _log.debug("listener %s failed", listener.name, exc_info=True)
