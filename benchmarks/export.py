"""What the ways to ONNX cost: time, memory, bytes, distance from the source, and speed of integers.

python benchmarks/export.py [MODEL…] [--repeat N] [--large]

Each export runs in a process of its own, TensorFlow's start included where it is needed; CPU seconds
are those of the whole process and matter where the machine is busy. ``onnx-int8`` is calibrated on drawn
glyphs; its speed is that of float32 in the same process divided by its own, at batch 1 and 64. Without a
model, ``emnist-cnn`` with 62 classes is built, its batch statistics set to something, and saved.
``--large`` measures `toolkit export --to onnx`, the read-back included, on a network of 300 MB instead: a
Keras archive, and the ONNX file that was made from it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

EXPORTERS = ("onnx", "onnx-int8", "onnx-tf2onnx")
COLUMNS = (
    "seconds",
    "CPU seconds",
    "MB of memory",
    "bytes",
    "largest difference",
    "speed at 1",
    "speed at 64",
)


def main(arguments: list[str]) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--large", action="store_true")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        if chosen.large:
            measure_large(Path(folder), chosen.repeat)
            return
        models = chosen.models or [built("emnist-cnn", Path(folder) / "emnist-cnn.keras")]
        print(f"{'model':32}{'exporter':14}" + "".join(f"{column:>20}" for column in COLUMNS))
        for model in models:
            for exporter in EXPORTERS:
                runs = [in_own_process("measure", exporter, str(model), folder) for _ in range(chosen.repeat)]
                best = min(runs, key=lambda run: float(run["seconds"]))
                print(f"{model.name:32}{exporter:14}" + "".join(f"{best[column]:>20}" for column in COLUMNS))


def measure_large(folder: Path, repeat: int) -> None:
    """Print a table of exports of a network of 300 MB."""
    source, made = folder / "large.keras", folder / "large.onnx"
    in_own_process("build-large", "", str(source))
    columns = ("seconds", "CPU seconds", "MB of memory", "bytes")
    print(f"{'model':32}" + "".join(f"{column:>20}" for column in columns))
    for model, target in ((source, made), (made, folder / "again.onnx")):
        runs = [in_own_process("export", "onnx", str(model), str(target)) for _ in range(repeat)]
        best = min(runs, key=lambda run: float(run["seconds"]))
        print(f"{model.name:32}" + "".join(f"{best[column]:>20}" for column in columns))


def built(architecture: str, path: Path) -> Path:
    """Build and save a network, in a process of its own."""
    in_own_process("build", architecture, str(path))
    return path


def in_own_process(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, "--child", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def build(architecture: str, path: Path) -> dict[str, Any]:
    import numpy as np

    from toolkit.declarations import BuildRequest
    from toolkit.host.catalog import Catalog
    from toolkit.host.kinds import ARCHITECTURES

    declared = Catalog.load().get(ARCHITECTURES, architecture)
    network = declared.build(BuildRequest(classes=62, options=declared.options()))
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if type(layer).__name__ == "BatchNormalization":
            width = layer.gamma.shape[0]
            layer.set_weights(
                [
                    rng.uniform(0.5, 1.5, width),
                    rng.normal(0, 0.2, width),
                    rng.normal(0, 0.2, width),
                    rng.uniform(0.2, 1, width),
                ]
            )
    network.save(path)
    return {}


def build_large(path: Path) -> dict[str, Any]:
    import keras
    from keras import layers

    widths = [layers.Dense(width, "relu") for width in (8000, 8450)]
    stack = [keras.Input((28, 28, 1)), layers.Flatten(), *widths, layers.Dense(62, "softmax")]
    keras.Sequential(stack).save(path)
    return {}


def export(exporter: str, model: Path, target: Path) -> dict[str, Any]:
    from toolkit import Toolkit

    started = time.perf_counter()
    done = Toolkit(model.parent).export(model=model, to=exporter, dataset="none", out=target, force=True)
    return costs(started) | {"bytes": done.size}


def costs(started: float) -> dict[str, Any]:
    """Seconds since the start, and what the process has used."""
    seconds = time.perf_counter() - started
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": f"{seconds:.2f}",
        "CPU seconds": f"{usage.ru_utime + usage.ru_stime:.2f}",
        "MB of memory": usage.ru_maxrss >> 10,
    }


def measure(exporter: str, model: Path, folder: Path) -> dict[str, Any]:
    from toolkit.declarations import ExportRequest
    from toolkit.host.catalog import Catalog
    from toolkit.host.kinds import EXPORTERS
    from toolkit.operations import Toolkit
    from toolkit.operations.export_images import drawing
    from toolkit.training.keras_bridge import keras_from_model
    from toolkit.vocabulary import SilentProgress

    target = folder / f"{exporter}.onnx"
    target.unlink(missing_ok=True)
    started = time.perf_counter()
    catalog = Catalog.load()
    read = catalog.format_of(model).read(model)
    declared = catalog.get(EXPORTERS, exporter)
    request = ExportRequest(
        read,
        target,
        declared.options(budget=100) if exporter == "onnx-int8" else declared.options(),
        keras_model=lambda: keras_from_model(read),
        draw=drawing(Toolkit(folder), read, "glyphs", SilentProgress()),
    )
    facts = declared.export(request).facts
    return costs(started) | {
        "bytes": facts["bytes"],
        "largest difference": f"{facts.get('largest_probability_difference', float('nan')):.1e}",
        "speed at 1": facts.get("speedup_batch_1", ""),
        "speed at 64": facts.get("speedup_batch_64", ""),
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _, _, task, first, *rest = sys.argv
        paths = [Path(each) for each in rest]
        if task.startswith("build"):
            result = build(first, *paths) if task == "build" else build_large(*paths)
        else:
            result = {"measure": measure, "export": export}[task](first, *paths)
        print(json.dumps(result))
    else:
        main(sys.argv[1:])
