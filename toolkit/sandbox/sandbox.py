"""Model files of strangers are read by a child process first.

What decodes a file (HDF5, protobuf, onnxruntime) is native code, and a file may be made to crash
it, to send it round in circles, or to have it take all memory. A server must outlive that. So a
child process with limits reads the file to its end and runs the network once; only when it comes
back does the server read the same file. What is wrong with a file that the child survives is said
by whoever reads it then.

The child is a program of its own, ``python -m toolkit.sandbox.sandbox``: it forks from nothing,
shares no memory, and takes one path a line. Without a parent it ends at once, or, where native
code lets nothing else of the process run, when its processor time is used up.
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
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

from toolkit.errors import LimitReachedError, ToolkitError, UnreadableInputError
from toolkit.host.kinds import MODEL_FORMATS
from toolkit.operations.resources import Resources
from toolkit.store import Workspace
from toolkit.store.file_state import FileState, file_state

_HINT = "the file is damaged or was made to do harm: get or make it again"
_READY = "ready"

Outcome = Literal["survived", "crashed", "too long", "memory"]


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What reading one file may take in the child.

    Attributes:
        seconds: Of wall time, beside what the file's size explains.
        bytes_a_second: Of a file that is large: every so many bytes give it a second more.
        memory: Bytes of the child's own data, beside ``memory_by_size`` times the file's size.
        memory_by_size: A network in onnxruntime is there several times while it is made ready.
        start_seconds: Until the child has loaded the plugins.
    """

    seconds: float = 10.0
    bytes_a_second: float = 20e6
    memory: int = 1 << 30
    memory_by_size: int = 6
    start_seconds: float = 60.0

    def seconds_for(self, size: int) -> float:
        """Wall time for a file of this many bytes."""
        return self.seconds + size / self.bytes_a_second

    def memory_for(self, size: int) -> int:
        """Bytes of data for a file of this many bytes."""
        return self.memory + self.memory_by_size * size


class Sandbox:
    """Has a child process read each state of each file before anybody else does.

    Safe to use from several threads; a child ends with the files that it was started for, and two
    work at a time.

    Args:
        workspace: Of the toolkit whose plugins read the files; the child loads the installed ones.
        limits: For one file.
        secrets: Environment variables that are none of the child's business.
    """

    def __init__(
        self, workspace: Workspace, limits: SandboxLimits | None = None, secrets: Collection[str] = ()
    ) -> None:
        self._workspace = workspace
        self._limits = limits or SandboxLimits()
        self._secrets = secrets
        self._outcomes: dict[Path, tuple[FileState, Outcome]] = {}
        self._working = threading.BoundedSemaphore(2)

    def __call__(self, path: Path) -> None:
        """Refuse a file whose reading harms the process that reads it.

        Raises:
            UnreadableInputError: If the child crashed.
            LimitReachedError: If it took too long or too much memory.
        """
        self.read_first([path])
        _, outcome = self._outcomes.get(path, (None, "survived"))
        if outcome == "crashed":
            raise UnreadableInputError(f"{path}: a process that tried to read it crashed", hint=_HINT)
        if outcome == "too long":
            seconds = self._limits.seconds_for(_size(path))
            raise LimitReachedError(f"{path}: reading it took longer than {seconds:.0f} s", hint=_HINT)
        if outcome == "memory":
            memory = self._limits.memory_for(_size(path))
            raise LimitReachedError(f"{path}: reading it took more than {memory >> 20:,} MiB", hint=_HINT)

    def read_first(self, paths: Iterable[Path]) -> None:
        """Try many files with as few children as possible; nothing is raised for a bad one."""
        with self._working:
            left = [(path, state) for path in paths if (state := self._untried(path)) is not None]
            while left:
                with _Child(self._workspace, self._limits, self._secrets) as child:
                    while left and child.lives:
                        path, state = left.pop(0)
                        self._outcomes[path] = (state, child.read(path))

    def _untried(self, path: Path) -> FileState | None:
        state = file_state(path)
        known = self._outcomes.get(path)
        return None if known is not None and known[0] == state else state


class _Child:
    """The process that reads files for us, until one of them ends it."""

    def __init__(self, workspace: Workspace, limits: SandboxLimits, secrets: Collection[str]) -> None:
        self._limits = limits
        environ = {name: value for name, value in os.environ.items() if name not in secrets}
        self._process = subprocess.Popen(
            # -P: nothing that lies in the working directory is taken for a module.
            [sys.executable, "-P", "-m", __name__, str(workspace.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        )
        self.lives = True

    def __enter__(self) -> Self:
        try:
            answer = self._answer(self._limits.start_seconds)
        except BaseException:
            self._end()
            raise
        if answer != _READY:
            self._end()
            raise RuntimeError("the process that reads model files first did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def read(self, path: Path) -> Outcome:
        """Have it read one file."""
        size = _size(path)
        seconds, memory = self._limits.seconds_for(size), self._limits.memory_for(size)
        order = json.dumps({"path": str(path), "seconds": seconds, "memory": memory})
        with suppress(BrokenPipeError):
            _stream(self._process.stdin).write(f"{order}\n".encode())
            _stream(self._process.stdin).flush()
        answer = self._answer(seconds)
        self.lives = answer == "survived"
        match answer:
            case "survived" | "memory":
                return answer
            case None:
                return "too long"
            case _:
                return "crashed"

    def _answer(self, seconds: float) -> str | None:
        """The next line; empty if the process has ended, None if nothing came in time."""
        stream = _stream(self._process.stdout)
        if not select.select([stream], [], [], seconds)[0]:
            return None
        return stream.readline().decode().strip()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                _stream(stream).close()


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _size(path: Path) -> int:
    state = file_state(path)
    return 0 if state is None else state[2]


def _main() -> None:
    """The child: a path and its limits a line, an answer a line."""
    import resource

    # What a plugin prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    toolkit = Resources(Workspace(Path(sys.argv[1])))
    toolkit.catalog.all(MODEL_FORMATS)  # so that no file's time goes into loading the plugins
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    answers.write(f"{_READY}\n")
    for order in _orders():
        _limit(resource.RLIMIT_DATA, order["memory"])
        _limit(resource.RLIMIT_CPU, math.ceil(time.process_time() + 2 * order["seconds"]) + 1)
        answers.write(f"{_tried(toolkit, Path(order['path']))}\n")


def _orders() -> Iterator[dict[str, Any]]:
    """What the parent sends; the process ends with the parent, in the middle of a file too."""
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


def _tried(toolkit: Resources, path: Path) -> Outcome:
    import numpy as np

    from toolkit.operations.opening import open_model
    from toolkit.operations.predict import classifier_of

    try:
        model = open_model(toolkit, path)
        for name in model.tensors:
            model.tensors.read(name)
    except MemoryError:
        return "memory"
    except ToolkitError:
        return "survived"  # whoever reads it next says what is wrong
    try:
        classifier_of(model).classify(np.zeros((1, 28, 28), np.uint8), 1)
    except (MemoryError, LimitReachedError):
        return "memory"
    except ToolkitError:
        return "survived"
    return "survived"


if __name__ == "__main__":
    _main()
