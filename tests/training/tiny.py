"""A data set, an architecture and a file format that are as small as a training allows.

Also a program: ``tiny.py FOLDER [--seed S] [--resume] [--kill-at N]`` trains in a process of its
own and prints the weights digest; ``--kill-at`` sends SIGKILL at the N-th thing that happens.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from toolkit.data import Dataset
from toolkit.declarations import Architecture, BuildRequest, ModelFormat
from toolkit.graph import Graph
from toolkit.model import Card, Model
from toolkit.tensors import ArrayTensors, TensorRole
from toolkit.training import TrainedRun, TrainingOptions, TrainingRequest, train
from toolkit.vocabulary import SilentProgress

CLASSES = ("I", "-", "/", "o")


def strokes(count: int, seed: int, name: str = "strokes") -> Dataset:
    """Upright bars, level bars, diagonals and rings, in noise."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, len(CLASSES), count).astype(np.int32)
    images = random.integers(0, 60, (count, 28, 28)).astype(np.uint8)
    rows, columns = np.mgrid[:28, :28]
    for image, label in zip(images, labels, strict=True):
        at = random.integers(10, 18)
        shape = (
            abs(columns - at) < 2,
            abs(rows - at) < 2,
            abs(rows + columns - 2 * at) < 2,
            abs(np.hypot(rows - at, columns - at) - 6) < 1.5,
        )[label]
        image[shape & (np.hypot(rows - 14, columns - 14) < 11)] = 230
    return Dataset(name, CLASSES, images, labels)


def build(request: BuildRequest) -> Any:
    import keras
    from keras import layers

    seed = request.seed
    image = keras.Input(request.input_shape, name="image")
    x = layers.Conv2D(
        6, 5, strides=4, name="conv", kernel_initializer=keras.initializers.HeNormal(seed=seed)
    )(image)
    x = layers.BatchNormalization(name="norm", momentum=0.8)(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.2, seed=seed, name="dropout")(x)
    # No seed of its own: the host's has to do.
    outputs = layers.Dense(request.classes, activation="softmax", name="classes")(x)
    return keras.Model(image, outputs, name="tiny")


TINY = Architecture(name="tiny", summary="one convolution", build=build)


def _weights(group: h5py.Group) -> Iterator[tuple[str, Any]]:
    for layer in group:
        found: list[tuple[str, Any]] = []
        group[layer].visititems(lambda name, item, found=found: found.append((name, item)))
        for name, item in found:
            if isinstance(item, h5py.Dataset) and "seed_generator" not in name:
                yield f"{layer}/{name.rsplit('/', 1)[-1]}", item[()]


def read(path: Path) -> Model:
    with h5py.File(path) as file:
        arrays = {name: (array, TensorRole.OTHER) for name, array in _weights(file["model_weights"])}
        description = json.loads(file.attrs["model_config"])

    graph = Graph((), {}, (), "x", "y", (28, 28, 1), (len(CLASSES),), outputs_probabilities=True)
    return Model(
        ArrayTensors(arrays),
        Card(),
        lambda: graph,
        graph.input_shape,
        graph.output_shape,
        "keras",
        description,
        path=path,
    )


PLAIN_H5 = ModelFormat(name="plain-h5", summary="just enough of .h5", suffixes=(".h5",), read=read)


def request_in(folder: Path, **changes: Any) -> TrainingRequest:
    given: dict[str, Any] = {
        "architecture": TINY,
        "fit": strokes(200, 1),
        "validation": strokes(80, 2),
        "test": strokes(80, 3),
        "folder": folder,
        "model_format": PLAIN_H5,
        "options": TrainingOptions(epochs=4, batch_size=32, learning_rate=0.02),
        "seed": 7,
    }
    return TrainingRequest(**{**given, **changes})


class KillingProgress(SilentProgress):
    """Kills the process, without any warning, when it is told something for the n-th time."""

    def __init__(self, after: int) -> None:
        self._left = after

    def advance(self, done: int, detail: str = "") -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--kill-at", type=int, default=0)
    arguments = parser.parse_args()
    import toolkit.training.fitting

    toolkit.training.fitting._ANNOUNCED_EVERY = 0.0  # every batch is a place to be killed at
    run: TrainedRun = train(
        request_in(
            arguments.folder,
            seed=arguments.seed,
            resume=arguments.resume,
            progress=KillingProgress(arguments.kill_at),
        )
    )
    print(json.dumps({"digest": run.weights_digest, "best": run.validation_accuracy}))


if __name__ == "__main__":
    main()
