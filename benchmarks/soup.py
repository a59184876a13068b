"""Three owners with images of their own fine-tune one ancestor; what the greedy soup of the three reads.

The fit images are dealt out into four parts. The ancestor learns on the first, each owner goes on
from it on a part of its own, and the merge sees no image of anybody's: it selects on the validation
split, which is the same for all, for it is a property of each image. The test file is scored once.

    python -m benchmarks.soup [--dataset glyphs] [--epochs 8] [--tuning 6] [--keep DIR] [--output json]
"""

from __future__ import annotations

import argparse
import json
import struct
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import toolkit as host
from benchmarks.train import Trained, table, toolkit, train
from toolkit.data import Dataset

OWNERS = (1, 2, 3)


def write_idx(folder: Path, part: str, data: Dataset) -> None:
    """EMNIST's own layout: transposed glyphs, big-endian headers."""
    stem = f"emnist-byclass-{part}"
    count = len(data)
    images = np.ascontiguousarray(data.images.transpose(0, 2, 1))
    header = struct.pack(">4i", 0x803, count, 28, 28)
    (folder / f"{stem}-images-idx3-ubyte").write_bytes(header + images.tobytes())
    labels = data.labels.astype(np.uint8)
    (folder / f"{stem}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, count) + labels.tobytes())


def deal(dataset: str, folder: Path) -> list[Path]:
    """One folder for the ancestor and one for each owner, with the same test file."""
    fit, validation, test = (host.open_dataset(dataset, split) for split in ("fit", "validation", "test"))
    order = np.random.default_rng(0).permutation(len(fit))
    folders = []
    for number, rows in enumerate(np.array_split(order, len(OWNERS) + 1)):
        own = folder / f"part-{number}"
        own.mkdir()
        shared: NDArray[np.int64] = np.arange(number, len(validation), len(OWNERS) + 1)
        part = _joined(fit.take(np.sort(rows)), validation.take(shared))
        write_idx(own, "train", part)
        write_idx(own, "test", test)
        folders.append(own)
    return folders


def _joined(first: Dataset, second: Dataset) -> Dataset:
    images = np.concatenate([first.images, second.images])
    return Dataset(first.name, first.classes, images, np.concatenate([first.labels, second.labels]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dataset", default="glyphs", help="name or path; glyphs is always there")
    parser.add_argument("--epochs", type=int, default=8, help="of the ancestor")
    parser.add_argument("--tuning", type=int, default=6, help="epochs of each owner")
    parser.add_argument(
        "-o",
        dest="options",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="for each owner's training",
    )
    parser.add_argument("--keep", type=Path, help="a workspace to keep, with the merge's report in it")
    parser.add_argument("--output", choices=["text", "json"], default="text")
    asked = parser.parse_args()
    dataset = str(Path(asked.dataset).resolve()) if Path(asked.dataset).exists() else asked.dataset
    with tempfile.TemporaryDirectory() as scratch:
        workspace: Path = asked.keep or Path(scratch) / "workspace"
        workspace.mkdir(parents=True, exist_ok=True)
        parts = deal(dataset, Path(scratch))
        ancestor = ["--dataset", str(parts[0]), "--epochs", str(asked.epochs)]
        rows: list[Trained] = [train(workspace, "ancestor", *ancestor)]
        options = {"learning_rate": "0.002"} | dict(option.split("=", 1) for option in asked.options)
        start = ["--from", str(workspace / "models" / "ancestor.h5"), "--epochs", str(asked.tuning)]
        for owner in OWNERS:
            own = ["--dataset", str(parts[owner]), "--seed", str(owner)]
            own += [word for pair in options.items() for word in ("-o", "=".join(pair))]
            rows.append(train(workspace, f"owner-{owner}", *start, *own))
        tuned = [str(workspace / "models" / f"owner-{owner}.h5") for owner in OWNERS]
        order = ["--strategy", "greedy", "--dataset", dataset, "--test", "--keep-worse", "--force"]
        report = toolkit(workspace, "--quiet", "merge", *tuned, *order)["report"]
    if asked.output == "json":
        print(json.dumps({"trainings": [asdict(row) for row in rows], "report": report}, indent=2))
        return
    print(table(rows))
    print()
    for score in report["scores"]:
        print(f"greedy soup, {score['split']}: {score['accuracy']:.2%} of {score['images']:,} images")
    for key in ("verdict", "test_verdict"):
        print(report[key]["sentence"])


if __name__ == "__main__":
    main()
