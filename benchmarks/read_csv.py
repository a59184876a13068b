"""Time and memory for reading EMNIST's CSV, compared with pandas and NumPy on the same file.

    python benchmarks/read_csv.py [FILE] [--repeat 3] [--rows 60000] [--skip loadtxt]

Without a file, one like EMNIST's is made. Each reading runs in its own process, in turn with the
others; the best of its turns counts. The toolkit's cache is not used. The peak is that of the
process's resident memory, minus its memory before the reading.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

READINGS = {
    "toolkit": "from toolkit_emnist.csv_reader import read_csv\n"
    "from toolkit_emnist.mapping import mapping_of\n"
    "mapping = mapping_of('byclass', None)\n"
    "read = lambda path: read_csv(path, mapping)[0]",
    "pandas": "import pandas\nread = lambda path: pandas.read_csv(path, header=None)",
    "loadtxt": "import numpy\nread = lambda path: numpy.loadtxt(path, delimiter=',', dtype=numpy.uint8)",
}
MEASURE = """
import json, resource, sys, threading, time
from pathlib import Path
{prepare}
path = Path(sys.argv[1])
path.read_bytes()  # the file is in the system's memory for every reading
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
before, peak, over = resident(), 0, False
def watch():
    global peak
    while not over:
        peak = max(peak, resident())
        time.sleep(0.002)
watcher = threading.Thread(target=watch)
watcher.start()
wall, cpu = time.perf_counter(), time.process_time()
table = read(path)
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
over = True
watcher.join()
print(json.dumps(dict(wall=wall, cpu=cpu, peak=max(peak, resident()) - before, rows=len(table))))
"""


def main() -> None:
    arguments = parsed()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.file or synthetic(Path(folder), arguments.rows)
        names = [name for name in READINGS if name not in arguments.skip]
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for _ in range(arguments.repeat):
            for name in names:
                runs[name].append(measured(name, path))
        report(path, runs)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", help="an EMNIST ByClass CSV file, plain or gzip")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rows", type=int, default=60_000, help="number of rows of the file that is made")
    parser.add_argument("--skip", action="append", default=[], choices=list(READINGS))
    return parser.parse_args()


def synthetic(folder: Path, rows: int) -> Path:
    """A file whose rows have the length and the empty margins of real ones."""
    import numpy as np

    random = np.random.default_rng(0)
    path = folder / "emnist-byclass-train.csv"
    with path.open("w") as file:
        for begin in range(0, rows, 1_000):
            count = min(1_000, rows - begin)
            cells = np.zeros((count, 785), np.uint8)
            cells[:, 0] = random.integers(0, 62, count)
            glyphs = cells[:, 1:].reshape(count, 28, 28)
            glyphs[:, 4:24, 6:22] = random.integers(1, 256, (count, 20, 16)) * (
                random.random((count, 20, 16)) < 0.6
            )
            np.savetxt(file, cells, fmt="%d", delimiter=",")
    return path


def measured(name: str, path: Path) -> dict[str, float]:
    program = MEASURE.format(prepare=READINGS[name])
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], check=True, capture_output=True, text=True
    )
    numbers: dict[str, float] = json.loads(done.stdout)
    return numbers


def report(path: Path, runs: dict[str, list[dict[str, float]]]) -> None:
    images = 784 * runs["toolkit"][0]["rows"] if "toolkit" in runs else 0
    fastest = {name: min(run["wall"] for run in several) for name, several in runs.items()}
    print(f"{path.name}: {path.stat().st_size / 1e6:,.1f} MB, {images / 1e6:,.1f} MB as uint8")
    print(
        f"{'':9}  {'wall s':>7}  {'CPU s':>7}  {'peak MB':>8}  {'beside the array':>16}  {'times slower':>12}"
    )
    for name, several in runs.items():
        cpu = min(run["cpu"] for run in several)
        peak = max(run["peak"] for run in several)
        beside = f"{(peak - images) / images:.2f} x" if images else ""
        slower = f"{fastest[name] / fastest['toolkit']:.1f}" if "toolkit" in fastest else ""
        print(f"{name:9}  {fastest[name]:7.3f}  {cpu:7.3f}  {peak / 1e6:8.0f}  {beside:>16}  {slower:>12}")


if __name__ == "__main__":
    main()
