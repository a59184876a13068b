"""What becomes of a hostile file: each is given to the program in a child process of its own.

``python trial.py FOLDER [GROUP or NAME…]`` prints one JSON line for each file.
"""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import archives
import configurations
import hdf5_files
import onnx_graphs
import paths
import registry

MODULES = (hdf5_files, configurations, archives, onnx_graphs, paths)
SECONDS = 10
MEMORY = 1 << 30
_ADDRESSES = 6 << 30
_WALL_SECONDS = 120


def _verbs(file: registry.HostileFile, path: str) -> list[list[str]]:
    """The verbs that a file is given to."""
    verbs = [
        ["models", "show", path],
        ["models", "show", path, "--output", "json"],
        ["export", path, "--to", "onnx", "--out", "out.onnx", "--force", "--dataset", "none"],
    ]
    if file.group == "path" or file.name.startswith("control"):
        verbs += [
            ["models", "compare", path, path],
            ["models", "verify", path],
            ["merge", path, path, "--strategy", "mean", "--out", "merged.h5", "--force"],
            ["predict", path, "not-there.png"],
            ["evaluate", path, "--dataset", "not-there"],
            ["models", "adopt", path, "--dataset", "not-there"],
            ["models", "find", str(Path(path).parent)],
        ]
    return verbs


def _run(arguments: list[str]) -> dict[str, Any]:
    """Run the program in this process; its status, and what it printed."""
    from toolkit.cli.context import CommandLine
    from toolkit.cli.main import toolkit as program

    printed: dict[int, str] = {}
    kept = {number: os.dup(number) for number in (1, 2)}
    files = {number: tempfile.TemporaryFile() for number in (1, 2)}  # noqa: SIM115 - closed below
    for number, made in files.items():
        os.dup2(made.fileno(), number)
    sys.stdout = io.TextIOWrapper(os.fdopen(os.dup(1), "wb"), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(os.fdopen(os.dup(2), "wb"), encoding="utf-8")
    status = 0
    try:
        program.main(arguments, "toolkit", obj=CommandLine())
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        sys.stdout.close()
        sys.stderr.close()
        for number, made in files.items():
            os.dup2(kept[number], number)
            made.seek(0)
            printed[number] = made.read().decode("utf-8", "replace")
            made.close()
    return {"verb": arguments[:2], "status": status, "out": printed[1][-4000:], "err": printed[2][-4000:]}


def _child(file: registry.HostileFile, path: Path, answer: int) -> None:
    signal.alarm(_WALL_SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(path.parent if path.parent.is_dir() else path.parents[1])
    done = [_run(verb) for verb in _verbs(file, f"./{os.path.relpath(path)}")]
    os.write(answer, json.dumps(done).encode())
    os._exit(0)


def tried(file: registry.HostileFile, folder: Path) -> dict[str, Any]:
    """Write a file and give it to the program; raises nothing whatever the program does."""
    here = folder / str(registry.FILES.index(file))
    here.mkdir()
    path = here / file.name
    file.write(path)
    with tempfile.TemporaryFile() as answer:
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            try:
                _child(file, path, answer.fileno())
            finally:
                os._exit(99)
        _, status, used = os.wait4(child, 0)
        answer.seek(0)
        text = answer.read()
    return {
        "name": file.name,
        "ended": os.waitstatus_to_exitcode(status),
        "cpu": used.ru_utime + used.ru_stime,
        "wall": time.monotonic() - started,
        "memory": used.ru_maxrss * 1024,
        "verbs": json.loads(text) if text else [],
    }


def main(folder: Path, names: list[str]) -> None:
    """Try the files of these names or groups, or all."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    # Loaded once, before the processes are forked.
    import h5py  # noqa: F401
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401

    import toolkit.engine
    import toolkit.operations.export  # noqa: F401

    for file in registry.FILES:
        if not names or file.name in names or file.group in names:
            print(json.dumps(tried(file, folder)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
