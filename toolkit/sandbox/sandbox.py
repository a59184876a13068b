"""Untrusted model files are read in a child process first.

What decodes a file (HDF5, protobuf, onnxruntime) is native code, and a malicious file may crash it, keep
it busy forever, or make it use all memory. So a child process with limits reads the whole file and runs
the network once; the server reads the file only if the child survives.

The child is a program of its own, ``python -m toolkit.sandbox.sandbox``: it is not forked, shares no
memory, and reads one request per line. It ends when its parent ends or when its CPU time is used up.
"""

from __future__ import annotations

import json
import math
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from toolkit.errors import LimitReachedError, ToolkitError, UnreadableInputError
from toolkit.host.kinds import MODEL_FORMATS
from toolkit.operations.resources import Resources
from toolkit.records import dataclass
from toolkit.store import Workspace
from toolkit.store.limits import DEFAULT_MAX_SIZE
from toolkit.store.opening import FileState, file_state

_HINT = "the file is damaged or malicious: get or create it again"
_READY = "ready"

Outcome = Literal["harmless", "crash", "time", "memory"]


@dataclass(frozen=True)
class SandboxLimits:
    """Limits of the child while it reads one file.

    Attributes:
        seconds: Wall time, apart from the file's size.
        bytes_a_second: A large file gets another second for this many bytes.
        memory: Bytes of the child's own data, apart from the file's size.
        memory_by_size: Multiple of the file's size that is added: onnxruntime copies a network.
        start_seconds: Until the child has loaded the plugins.
    """

    seconds: float = 10.0
    bytes_a_second: float = 20e6
    memory: int = 1 << 30
    memory_by_size: int = 6
    start_seconds: float = 60.0

    def of(self, path: Path) -> tuple[float, int]:
        """Seconds and bytes for this file."""
        state = file_state(path)
        size = 0 if state is None else state[2]
        return self.seconds + size / self.bytes_a_second, self.memory + self.memory_by_size * size


class Sandbox:
    """Checks each state of each file once, in a child process without the environment's ``secrets``.

    The child has the same ``max_size`` for tensors as the process that reads the file after it.

    Thread-safe. A child checks files until one of them ends it; at most two children run at a time.
    """

    def __init__(
        self,
        workspace: Workspace,
        limits: SandboxLimits | None = None,
        secrets: Collection[str] = (),
        max_size: int = DEFAULT_MAX_SIZE,
    ) -> None:
        self._arguments = [str(workspace.root), str(max_size)]
        self._limits = limits or SandboxLimits()
        self._secrets = secrets
        self._outcomes: dict[Path, tuple[FileState, Outcome]] = {}
        self._children = threading.BoundedSemaphore(2)

    def __call__(self, path: Path) -> None:
        """Refuse a file that harms the process that reads it."""
        self.check([path])
        _, outcome = self._outcomes.get(path, (None, "harmless"))
        seconds, memory = self._limits.of(path)
        if outcome == "crash":
            raise UnreadableInputError(f"{path}: reading it crashed a process", hint=_HINT)
        if outcome == "time":
            raise LimitReachedError(f"{path}: reading it took longer than {seconds:.0f} s", hint=_HINT)
        if outcome == "memory":
            raise LimitReachedError(f"{path}: reading it took more than {memory >> 20:,} MiB", hint=_HINT)

    def check(self, paths: Iterable[Path]) -> None:
        """Check many files with as few children as possible; raises nothing for a bad file."""
        with self._children:
            left = [(path, state) for path in paths if (state := self._unchecked_state(path)) is not None]
            while left:
                with _child(self._arguments, self._limits, self._secrets) as read:
                    outcome: Outcome = "harmless"
                    while left and outcome == "harmless":
                        path, state = left.pop(0)
                        outcome = read(path)
                        self._outcomes[path] = (state, outcome)

    def _unchecked_state(self, path: Path) -> FileState | None:
        state = file_state(path)
        known = self._outcomes.get(path)
        return None if known is not None and known[0] == state else state


@contextmanager
def _child(
    arguments: Sequence[str], limits: SandboxLimits, secrets: Collection[str]
) -> Iterator[Callable[[Path], Outcome]]:
    """Start a child, and yield the function that lets it read a file; it reads no more once it was harmed."""
    environ = {name: value for name, value in os.environ.items() if name not in secrets}
    with subprocess.Popen(
        # -P: no module is imported from the working directory.
        [sys.executable, "-P", "-m", __name__, *arguments],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        requests, answers = process.stdin, process.stdout

        def answer(seconds: float) -> str | None:
            """The next line; empty if the process has ended, None if nothing came in time."""
            came = select.select([answers], [], [], seconds)[0]
            return answers.readline().decode().strip() if came else None

        def read(path: Path) -> Outcome:
            seconds, memory = limits.of(path)
            request = json.dumps({"path": str(path), "seconds": seconds, "memory": memory})
            with suppress(BrokenPipeError):
                requests.write(f"{request}\n".encode())
            outcomes: dict[str | None, Outcome] = {"harmless": "harmless", "memory": "memory", None: "time"}
            return outcomes.get(answer(seconds), "crash")

        try:
            if answer(limits.start_seconds) != _READY:
                raise RuntimeError("the sandbox process did not start")
            yield read
        finally:
            process.kill()


def _main() -> None:
    """The child: one request per line in, one answer per line out."""
    import resource

    # Output of a plugin must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    toolkit = Resources(Workspace(Path(sys.argv[1])), follow_links=False, max_size=int(sys.argv[2]))
    toolkit.catalog.all(MODEL_FORMATS)  # loaded now, not during the first file's time
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    answers.write(f"{_READY}\n")
    for request in _requests():
        _limit(resource.RLIMIT_DATA, request["memory"])
        _limit(resource.RLIMIT_CPU, math.ceil(time.process_time() + 2 * request["seconds"]) + 1)
        answers.write(f"{_read_and_run(toolkit, Path(request['path']))}\n")


def _requests() -> Iterator[dict[str, Any]]:
    """What the parent sends; the process ends with its parent, even while it reads a file."""
    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            waiting.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        yield waiting.get()


def _limit(kind: int, amount: int) -> None:
    import resource

    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (amount if hard == resource.RLIM_INFINITY else min(amount, hard), hard))


def _read_and_run(toolkit: Resources, path: Path) -> Outcome:
    import numpy as np

    from toolkit.operations.open_model import open_model
    from toolkit.operations.predict import classifier_of

    try:
        model = open_model(toolkit, path)
        for name in model.tensors:
            model.tensors.read(name)
    except MemoryError:
        return "memory"
    except ToolkitError:
        return "harmless"  # reported by the parent's own reader
    try:
        classifier_of(model).classify(np.zeros((1, 28, 28), np.uint8), 1)
    except (MemoryError, LimitReachedError):  # the engine reports that memory ran out as a limit
        return "memory"
    except ToolkitError:
        pass
    return "harmless"


if __name__ == "__main__":
    _main()
