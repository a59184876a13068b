"""Telling listeners what happens in a run."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from toolkit.declarations import RunEvent, RunListener
from toolkit.vocabulary import Progress

_log = logging.getLogger(__name__)


class Audience:
    """The listeners of one run; one that fails is silenced, and hurts neither the run nor the others.

    Args:
        listeners: Told in this order.
        progress: Told when a listener is silenced.
    """

    def __init__(self, listeners: Sequence[RunListener], progress: Progress) -> None:
        self._listeners = list(listeners)
        self._progress = progress

    def tell(self, event: RunEvent) -> None:
        """Tell every listener that is not silenced."""
        for listener in tuple(self._listeners):
            try:
                listener.hear(event)
            except Exception as error:  # noqa: BLE001 - a stranger's code may fail in any way
                self._listeners.remove(listener)
                self._progress.note(
                    f"listener {listener.name} failed and hears no more of this run: "
                    f"{type(error).__name__}: {error}"
                )
                _log.debug("listener %s failed", listener.name, exc_info=True)
