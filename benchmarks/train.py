"""What a given time of training reaches, for each architecture.

Every training is a `toolkit train` of its own in a folder of its own. A first epoch measures how
many images a second the architecture learns on this machine; the time given then says how many
epochs that is.

    python -m benchmarks.train --dataset byclass [--minutes 10] [--arch NAME]… [--output json]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Trained:
    """One training, from the start of its process to the end of it."""

    name: str
    epochs: int
    parameters: int
    images_per_second: float
    wall_s: float
    validation_accuracy: float
    test_accuracy: float


def toolkit(workspace: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", "--workspace", str(workspace), "--output", "json", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def train(workspace: Path, name: str, *arguments: str) -> Trained:
    began = time.monotonic()
    done = toolkit(workspace, "--quiet", "train", "--name", name, *arguments)
    return Trained(
        name,
        done["epochs"],
        done["parameters"],
        done["images_per_second"],
        time.monotonic() - began,
        done["validation_accuracy"],
        done["test_accuracy"],
    )


def affordable_epochs(workspace: Path, dataset: str, architecture: str, seconds: float) -> int:
    """How many epochs fit into the time, by the pace of a first one."""
    order = ["--dataset", dataset, "--arch", architecture, "--epochs", "1", "--name", "pace"]
    pace = toolkit(workspace, "--quiet", "train", *order)
    fit = toolkit(workspace, "datasets", "show", dataset)["splits"]["fit"]["images"]
    return max(int(seconds * pace["images_per_second"] / fit), 1)


def table(rows: list[Trained]) -> str:
    lines = [
        "| training | epochs | parameters | images/s | wall s | validation | test |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.name} | {row.epochs} | {row.parameters:,} | {row.images_per_second:,.0f} | {row.wall_s:.0f} "
        f"| {row.validation_accuracy:.2%} | {row.test_accuracy:.2%} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dataset", default="glyphs", help="name or path; glyphs is always there")
    parser.add_argument("--minutes", type=float, default=10.0, help="of learning, for each architecture")
    parser.add_argument("--arch", action="append", help="by default compact-cnn and emnist-cnn")
    parser.add_argument("--output", choices=["text", "json"], default="text")
    asked = parser.parse_args()
    dataset = str(Path(asked.dataset).resolve()) if Path(asked.dataset).exists() else asked.dataset
    architectures = asked.arch or ["compact-cnn", "emnist-cnn"]
    rows: list[Trained] = []
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        for architecture in architectures:
            epochs = affordable_epochs(workspace, dataset, architecture, asked.minutes * 60)
            order = ["--dataset", dataset, "--arch", architecture, "--epochs", str(epochs)]
            rows.append(train(workspace, architecture, *order, "-o", "patience=0"))
    if asked.output == "json":
        print(json.dumps({"trainings": [asdict(row) for row in rows]}, indent=2))
        return
    print(table(rows))


if __name__ == "__main__":
    main()
