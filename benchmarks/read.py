"""What reading a model costs: time and memory, against Keras' load_model and onnx.load in the same run.

python -m benchmarks.read [--repeat N]

Networks of two Dense layers, 3 MB and 300 MB, are written with the toolkit's own writers. Each way to read
runs in a process of its own. The time is from a path to every tensor's values having been read once
(summed), after all modules are imported and with the file in the page cache; the memory is what the process
needs beyond its imports, at its peak. The last rows read one tensor's bytes as the toolkit does, with
``pread`` into fresh memory, and through a memory map.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WIDTHS = {"3 MB": (980,), "300 MB": (8000, 8450)}
WAYS = {".h5": ("toolkit", "Keras"), ".keras": ("toolkit", "Keras"), ".onnx": ("toolkit", "onnx.load")}


def main(arguments: list[str]) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repeat", type=int, default=5)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        print("| file | read by | ms | CPU ms | MB of memory |\n|---|---|---:|---:|---:|")
        for size, widths in WIDTHS.items():
            _in_own_process("write", folder, json.dumps(widths))
            for suffix, ways in WAYS.items():
                for way in ways:
                    _row(f"{suffix}, {size}", way, chosen.repeat, "read", f"{folder}/net{suffix}")
            for way in ("pread", "memory map"):
                _row(f"one tensor, {size}", way, chosen.repeat, "tensor", f"{folder}/net.h5")


def _row(what: str, way: str, repeat: int, task: str, path: str) -> None:
    runs = [_in_own_process(task, path, way) for _ in range(repeat)]
    if any(run is None for run in runs):
        print(f"| {what} | {way} | not installed | | |")
        return
    best = {key: min(run[key] for run in runs) for key in runs[0]}
    shown = f"{best['ms']:.1f} | {best['cpu']:.1f} | {best['memory']:.0f}"
    print(f"| {what} | {way} | {shown} |", flush=True)


def _in_own_process(*arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, __file__, "--child", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def write(folder: Path, widths: list[int]) -> None:
    """The network as ``net.h5``, ``net.keras`` and ``net.onnx``."""
    import h5py
    import numpy as np

    from toolkit import Toolkit

    random = np.random.default_rng(0)
    sizes = [784, *widths, 62]
    layers = [
        {"class_name": "InputLayer", "config": {"name": "image", "batch_shape": [None, 28, 28, 1]}},
        {"class_name": "Flatten", "config": {"name": "flatten"}},
    ]
    for suffix in WAYS:
        (folder / f"net{suffix}").unlink(missing_ok=True)
    with h5py.File(folder / "net.h5", "w") as file:
        for index, (rows, columns) in enumerate(itertools.pairwise(sizes)):
            name = f"dense_{index}"
            activation = "softmax" if columns == 62 else "relu"
            config = {"name": name, "units": columns, "activation": activation}
            layers.append({"class_name": "Dense", "config": config})
            group = file.create_group(f"model_weights/{name}")
            group.attrs["weight_names"] = [f"{name}/kernel".encode(), f"{name}/bias".encode()]
            group[f"{name}/kernel"] = random.normal(0, 0.02, (rows, columns)).astype(np.float32)
            group[f"{name}/bias"] = np.zeros(columns, np.float32)
        file["model_weights"].attrs["layer_names"] = [
            f"dense_{index}".encode() for index in range(len(sizes) - 1)
        ]
        described = {"class_name": "Sequential", "config": {"name": "net", "layers": layers}}
        file.attrs["model_config"] = json.dumps(described)
        file.attrs["keras_version"] = "3.8.0"
        file.attrs["backend"] = "tensorflow"
    for name in ("keras", "onnx"):
        Toolkit(folder).export(
            model=folder / "net.h5", to=name, out=folder / f"net.{name}", dataset="none", force=True
        )


def read(path: Path, way: str) -> Callable[[], object] | None:
    """A function that reads a file and all its tensors; its modules are imported. None if one is missing."""
    if way == "toolkit":
        from toolkit.host.catalog import Catalog
        from toolkit.operations import Toolkit
        from toolkit.operations.open_model import open_model

        catalog = Catalog.load()
        catalog.format_of(path).read(path)
        toolkit = Toolkit(path.parent, lambda: catalog)

        def with_toolkit() -> object:
            model = open_model(toolkit, path)
            return [float(model.tensors.read(name).sum()) for name in model.tensors]

        return with_toolkit
    if way == "onnx.load":
        import onnx
        from onnx import numpy_helper

        return lambda: [
            float(numpy_helper.to_array(tensor).sum()) for tensor in onnx.load(str(path)).graph.initializer
        ]
    try:
        import keras
    except ModuleNotFoundError:
        return None
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])

    def with_keras() -> object:
        return [float(array.sum()) for array in keras.models.load_model(path, compile=False).get_weights()]

    return with_keras


def tensor(path: Path, way: str) -> Callable[[], object]:
    """A function that sums the largest tensor, through HDF5's place of its bytes."""
    import h5py
    import numpy as np

    from toolkit.store.byte_source import FileBytes

    found: dict[int, Any] = {}
    with h5py.File(path) as file:
        file["model_weights"].visititems(
            lambda _, item: found.update({item.size: item}) if hasattr(item, "shape") else None
        )
        largest = found[max(found)]
        offset, shape = largest.id.get_offset(), largest.shape
    if way == "pread":
        return lambda: float(FileBytes(path).read_array(offset, shape, np.dtype("<f4"), "kernel").sum())
    return lambda: float(np.memmap(path, "<f4", "r", offset, shape).sum())


def measured(action: Callable[[], object] | None) -> dict[str, float] | None:
    """Milliseconds, and megabytes beyond what the process had."""
    if action is None:
        return None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, busy = time.perf_counter(), time.process_time()
    action()
    return {
        "ms": 1000 * (time.perf_counter() - started),
        "cpu": 1000 * (time.process_time() - busy),
        "memory": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _, _, task, first, second = sys.argv
        if task == "write":
            print(json.dumps(write(Path(first), json.loads(second))))
        else:
            prepare = read if task == "read" else tensor
            print(json.dumps(measured(prepare(Path(first), second))))
    else:
        main(sys.argv[1:])
