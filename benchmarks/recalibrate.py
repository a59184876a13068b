"""What exact batch statistics cost: time and memory, with and without kept activations.

python benchmarks/recalibrate.py [MODEL] [--images N] [--threads N]

Without a model, ``emnist-cnn`` with 62 classes is built. The images are noise: the time does not
depend on what they show. Each measurement runs in a process of its own.
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

BUDGETS = (0, 64, 256, 1024)


def main(arguments: list[str]) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=0, help="0 for all processors")
    parser.add_argument("--budget", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.budget is not None:
        print(json.dumps(measure(chosen.model, chosen.images, chosen.threads, chosen.budget)))
        return
    with tempfile.TemporaryDirectory() as folder:
        model = chosen.model or built(Path(folder) / "emnist-cnn.keras")
        print(f"{model.name}, {chosen.images} images")
        print("MB kept between passes   seconds   CPU seconds    images/s    MB of memory")
        for budget in BUDGETS:
            command = [sys.executable, __file__, str(model), "--images", str(chosen.images)]
            command += ["--threads", str(chosen.threads), "--budget", str(budget)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr)
            found = json.loads(done.stdout)
            rate = chosen.images / found["seconds"]
            times = f"{found['seconds']:>10.2f}{found['cpu']:>14.2f}{rate:>12.0f}"
            print(f"{budget:>22}{times}{found['memory']:>16}")


def built(path: Path) -> Path:
    """Build and save ``emnist-cnn``, in a process of its own."""
    export = Path(__file__).with_name("export.py")
    command = [sys.executable, str(export), "--child", "build", "emnist-cnn", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return path


def measure(path: Path, images: int, threads: int, budget: int) -> dict[str, Any]:
    import numpy as np

    from toolkit.engine import batch_statistics
    from toolkit.host.catalog import Catalog

    model = Catalog.load().format_of(path).read(path)
    noise = np.random.default_rng(0).integers(0, 256, (images, 28, 28), dtype=np.uint8)
    started, started_cpu = time.perf_counter(), time.process_time()
    batch_statistics(model, noise, threads=threads or None, cache_bytes=budget << 20)
    seconds, cpu = time.perf_counter() - started, time.process_time() - started_cpu
    return {
        "seconds": seconds,
        "cpu": cpu,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
