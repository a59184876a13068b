"""Whole-process time and peak memory of a mean of two files, against averaging in Keras.

Both sides start a fresh Python, read two `emnist-cnn`-size `.h5` files, average them, and write a
new `.h5` file. The other side is what averaging scripts do: load both with Keras, average
`get_weights()`, `set_weights()`, `save()`.

    python benchmarks/merge.py [--repeat 5] [--output json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

MAKE = """
import sys
import keras
from keras import layers
for place, seed in enumerate((1, 2)):
    keras.utils.set_random_seed(seed)
    net = keras.Sequential([keras.Input((28, 28, 1), name="input")])
    for block, filters in enumerate((32, 64)):
        net.add(layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv_{block}a"))
        net.add(layers.BatchNormalization(name=f"norm_{block}"))
        net.add(layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv_{block}b"))
        net.add(layers.MaxPooling2D(name=f"pool_{block}"))
        net.add(layers.Dropout(0.2, name=f"drop_{block}"))
    net.add(layers.Conv2D(128, 3, padding="same", activation="relu", name="conv_2"))
    net.add(layers.BatchNormalization(name="norm_2"))
    net.add(layers.MaxPooling2D(name="pool_2"))
    net.add(layers.Dropout(0.3, name="drop_2"))
    net.add(layers.Flatten(name="flatten"))
    net.add(layers.Dense(512, activation="relu", name="dense_0"))
    net.add(layers.BatchNormalization(name="norm_3"))
    net.add(layers.Dropout(0.3, name="drop_3"))
    net.add(layers.Dense(256, activation="relu", name="dense_1"))
    net.add(layers.Dropout(0.3, name="drop_4"))
    net.add(layers.Dense(62, activation="softmax", name="head"))
    net.save(f"{sys.argv[1]}/{place}.h5", include_optimizer=False)
print(net.count_params())
"""

KERAS = """
import sys
import keras
import numpy as np
nets = [keras.models.load_model(path, compile=False) for path in sys.argv[1:3]]
nets[0].set_weights([np.mean(pair, axis=0) for pair in zip(*(net.get_weights() for net in nets))])
nets[0].save(sys.argv[3])
"""

OURS = "import sys; sys.argv[0] = 'toolkit'; from toolkit.__main__ import main; main()"

CHECK = """
import sys
import h5py
import numpy as np

def tensors(path):
    found = {}
    def keep(name, item):
        if isinstance(item, h5py.Dataset) and np.issubdtype(item.dtype, np.floating):
            found[name.split("/")[0], name.rpartition("/")[2].split(":")[0]] = item[()]
    h5py.File(path)["model_weights"].visititems(keep)
    return found

ours, theirs = map(tensors, sys.argv[1:])
assert ours.keys() == theirs.keys()
print(max(float(np.abs(ours[key] - theirs[key]).max()) for key in ours))
"""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One side of the comparison.

    Attributes:
        median_s: Seconds of the whole process, median.
        fastest_s: The same, fastest.
        processor_s: Seconds of processor time, fastest: what other work on the machine changes least.
        peak_mib: Largest resident memory, in MiB.
    """

    median_s: float
    fastest_s: float
    processor_s: float
    peak_mib: float


def measure(command: list[str], folder: Path) -> tuple[float, float, float]:
    """Run a command once and return seconds, processor seconds and MiB.

    Both sides have their bytecode, as after an installation.
    """
    log = folder / "log"
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.perf_counter()
    with log.open("wb") as file:
        child = subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=file)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{command[2][:40]}… failed:\n{log.read_text()}")
    seconds = time.perf_counter() - started
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Measure both sides in turn, so that both meet the same machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--output", choices=("text", "json"), default="text")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = subprocess.run(
            [sys.executable, "-c", MAKE, name], check=True, capture_output=True, text=True
        ).stdout
        sides = {
            "toolkit": [
                sys.executable,
                "-c",
                OURS,
                "merge",
                "0.h5",
                "1.h5",
                "--strategy=mean",
                "--out=toolkit.h5",
                "--keep-worse",
            ],
            "keras": [sys.executable, "-c", KERAS, "0.h5", "1.h5", "keras.h5"],
        }
        runs: dict[str, list[tuple[float, float, float]]] = {side: [] for side in sides}
        for turn in range(chosen.repeat + 1):
            for side, command in sides.items():
                for path in folder.glob(f"{side}.*"):
                    path.unlink()
                measured = measure(command, folder)
                if turn:  # the first run writes the bytecode
                    runs[side].append(measured)
        found = {
            side: Measurement(
                statistics.median(seconds for seconds, _, _ in done),
                min(seconds for seconds, _, _ in done),
                min(processor for _, processor, _ in done),
                max(memory for _, _, memory in done),
            )
            for side, done in runs.items()
        }
        check = [sys.executable, "-c", CHECK, "toolkit.h5", "keras.h5"]
        difference = float(
            subprocess.run(check, cwd=folder, check=True, capture_output=True, text=True).stdout
        )
    if chosen.output == "json":
        document = {side: asdict(item) for side, item in found.items()}
        print(json.dumps({"parameters": int(made), "largest_difference": difference, **document}, indent=2))
        return
    print(f"mean of two files of {int(made):,} parameters, whole process, {chosen.repeat} runs each")
    for side, item in found.items():
        print(
            f"{side:8} median {item.median_s:6.2f} s   fastest {item.fastest_s:6.2f} s   "
            f"processor {item.processor_s:6.2f} s   peak {item.peak_mib:4.0f} MiB"
        )
    ratio = found["keras"].median_s / found["toolkit"].median_s
    print(f"{ratio:.1f} times as fast; largest difference between the two results {difference:.1e}")


if __name__ == "__main__":
    main()
