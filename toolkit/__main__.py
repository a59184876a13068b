"""The process of the command line, for ``toolkit`` and ``python -m toolkit``.

It can be interrupted from its first instruction on: handlers are installed before the slow imports,
of which the standard module ``signal`` is one.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found,unused-ignore]
import atexit
import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_ALLOCATIONS_BETWEEN_COLLECTIONS = 50_000
_INTERRUPTIONS = {int(signal.SIGINT): b"error: interrupted\n", int(signal.SIGTERM): b"error: terminated\n"}


def end_at_once(number: int, _frame: FrameType | None) -> None:
    """Handle an interruption while there is no work to clean up after."""
    os.write(2, _INTERRUPTIONS[number])
    os._exit(128 + number)


def main() -> None:
    """Run the command line and end the process."""
    for number in _INTERRUPTIONS:
        # A background job of a script ignores SIGINT.
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, end_at_once)
    # Imports allocate much and free little: looking for cycles after every 700 objects takes 10 ms.
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS)
    # A BLAS thread for each processor takes 15 ms to start; onnxruntime, which computes, has its own.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from toolkit.cli.main import main as run

    try:
        run()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            end_with(end.code or 0)
        raise  # a text is printed by the interpreter


def end_with(status: int) -> None:
    """End the process without taking its modules apart, which would take 35 ms.

    Functions registered with atexit are called and the streams are flushed. Returns, for the
    interpreter to end the process, if there are other threads or a stream cannot be flushed.
    """
    threading = sys.modules.get("threading")
    if threading is not None and threading.active_count() > 1:
        return
    for number in _INTERRUPTIONS:
        signal.signal(number, signal.SIG_IGN)  # the work is done
    atexit._run_exitfuncs()  # noqa: SLF001 - what the interpreter calls
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):  # closed, or none
        return
    os._exit(status)


if __name__ == "__main__":
    main()
