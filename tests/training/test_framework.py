"""What native code writes to standard error while it starts."""

from __future__ import annotations

import os

import pytest

from toolkit.training.framework import _standard_error_held_back


@pytest.mark.parametrize(("error", "shown"), [(ImportError, "chatter"), (KeyboardInterrupt, "")])
def test_it_is_shown_for_a_failure_and_not_for_an_interruption(
    capfd: pytest.CaptureFixture[str], error: type[BaseException], shown: str
) -> None:
    def start() -> None:
        with _standard_error_held_back():
            os.write(2, b"chatter")
            raise error

    with pytest.raises(error):
        start()
    assert capfd.readouterr().err == shown
