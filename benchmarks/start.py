"""How long `toolkit --help` takes, against the help of a Click program without commands.

    python -m benchmarks.start [--repeat 15]

Processor time of fresh processes that take turns; the best of each counts.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys

EMPTY = "import click\n@click.command()\ndef main(): pass\nmain(['--help'])"
PROGRAMS = {
    "empty Click program": [sys.executable, "-c", EMPTY],
    "toolkit --help": [sys.executable, "-m", "toolkit", "--help"],
}


def seconds(command: list[str]) -> float:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def measure(repeat: int) -> dict[str, float]:
    best = dict.fromkeys(PROGRAMS, float("inf"))
    for _ in range(repeat):
        for name, command in PROGRAMS.items():
            best[name] = min(best[name], seconds(command))
    return best


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeat", type=int, default=15)
    empty, ours = measure(parser.parse_args().repeat).values()
    times = f"{1000 * ours:.0f} ms, an empty Click program {1000 * empty:.0f} ms"
    print(f"toolkit --help {times}: {ours / empty:.2f} times as much")


if __name__ == "__main__":
    main()
