"""A data set and an architecture that are as small as a training allows.

Also a program: ``tiny.py FOLDER [--seed S] [--resume] [--kill-at N]`` trains in a process of its
own and prints the weights digest; ``--kill-at`` sends SIGKILL at the N-th progress update.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np

import toolkit_keras
from toolkit.data import Dataset
from toolkit.declarations import Architecture, BuildRequest, ModelFormat
from toolkit.training.options import TrainingOptions
from toolkit.training.run import train
from toolkit.training.task import TrainedModel, TrainingTask
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
    # Without a seed of its own: the host's is used.
    outputs = layers.Dense(request.classes, activation="softmax", name="classes")(x)
    return keras.Model(image, outputs, name="tiny")


TINY = Architecture(name="tiny", summary="one convolution", build=build)


H5: ModelFormat = next(kind for kind in toolkit_keras.toolkit_model_formats() if kind.name == "h5")
read = H5.read


def task_in(folder: Path, **changes: Any) -> TrainingTask:
    given: dict[str, Any] = {
        "architecture": TINY,
        "fit": strokes(200, 1),
        "validation": strokes(80, 2),
        "test": strokes(80, 3),
        "folder": folder,
        "model_format": H5,
        "options": TrainingOptions(epochs=4, batch_size=32, learning_rate=0.02),
        "seed": 7,
    }
    return TrainingTask(**{**given, **changes})


class KillingProgress(SilentProgress):
    """Kills the process at the n-th update."""

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
    import toolkit.training.trainer

    toolkit.training.trainer._UPDATE_EVERY = 0.0  # every batch can be killed
    run: TrainedModel = train(
        task_in(
            arguments.folder,
            seed=arguments.seed,
            resume=arguments.resume,
            progress=KillingProgress(arguments.kill_at),
        )
    )
    print(json.dumps({"digest": run.weights_digest, "best": run.validation_accuracy}))


if __name__ == "__main__":
    main()
