from __future__ import annotations

from pathlib import Path

from toolkit.declarations import RunEvent, RunListener
from toolkit.training.run import notify_listeners
from toolkit.vocabulary import SilentProgress


class Notes(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def test_a_listener_that_fails_is_not_called_again_and_harms_no_other() -> None:
    heard: list[tuple[str, int]] = []

    def fail(event: RunEvent) -> None:
        heard.append(("bad", event.epoch))
        raise RuntimeError("no network")

    def listen(event: RunEvent) -> None:
        heard.append(("good", event.epoch))

    notes = Notes()
    listeners = [
        RunListener(name="bad", summary="", hear=fail),
        RunListener(name="good", summary="", hear=listen),
    ]
    for epoch in (1, 2):
        notify_listeners(listeners, RunEvent("epoch", Path("run"), epoch=epoch), notes)
    assert heard == [("bad", 1), ("good", 1), ("good", 2)]
    assert notes.lines == [
        "listener bad failed and is not called again in this run: RuntimeError: no network"
    ]
