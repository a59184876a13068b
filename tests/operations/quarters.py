"""A data set and networks that need no training: which quarter of an image is brighter."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np

from toolkit import hookimpl
from toolkit.data import Dataset
from toolkit.declarations import DatasetLoader, DatasetSource, LoadRequest
from toolkit.model import Card
from toolkit.model.card_file import write_card
from toolkit.vocabulary import Convention

CLASSES = ("a", "b", "c", "d")
NOISE = 95.0


def quarters(count: int, seed: int) -> Dataset:
    """Images of which one quarter is a little brighter than the rest: its place is the class."""
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, 4, count).astype(np.int32)
    images = chance.normal(80.0, NOISE, (count, 28, 28))
    for index, label in enumerate(labels):
        row, column = 14 * (label // 2), 14 * (label % 2)
        images[index, row : row + 14, column : column + 14] += 9.0
    return Dataset("quarters", CLASSES, np.clip(images, 0, 255).astype(np.uint8), labels)


def quarters_plugin() -> SimpleNamespace:
    def load(request: LoadRequest) -> Dataset:
        return quarters(4000 if request.part == "train" else 1000, seed=len(request.part))

    @hookimpl
    def toolkit_dataset_loaders() -> Iterable[DatasetLoader]:
        source = DatasetSource("quarters", "quarters", "computed")
        yield DatasetLoader(name="quarters", summary="computed", detect=lambda _: [source], load=load)

    return SimpleNamespace(toolkit_dataset_loaders=toolkit_dataset_loaders)


def save_keras(path: Path, layers: Sequence[tuple[str, str, dict[str, Any], dict[str, Any]]]) -> None:
    """A sequential network in Keras' legacy HDF5 layout, by hand: name, class, settings, weights."""
    config = [
        {"class_name": "InputLayer", "config": {"batch_shape": [None, 28, 28, 1], "name": "input"}},
        *({"class_name": kind, "config": {"name": name, **own}} for name, kind, own, _ in layers),
    ]
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "3.8.0"
        file.attrs["backend"] = "tensorflow"
        described = {"class_name": "Sequential", "config": {"name": "sequential", "layers": config}}
        file.attrs["model_config"] = json.dumps(described)
        top = file.create_group("model_weights")
        top.attrs["layer_names"] = [name.encode() for name, *_ in layers]
        for name, _, _, weights in layers:
            group = top.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{part}".encode() for part in weights]
            for part, array in weights.items():
                group[f"{name}/{part}"] = np.asarray(array, np.float32)


def save_reader(
    path: Path,
    seed: int,
    *,
    noise: float,
    suffix: str = "",
    variance: float = 1.0,
    batch_norm: bool = True,
    classes: int = 4,
    **card: Any,
) -> Path:
    """A network that reads quarters: the right templates and noise of its own on top.

    Args:
        variance: By how much its batch statistics are off.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(seed)
    kernel = np.zeros((28, 28, classes))
    for label in range(4):
        row, column = 14 * (label // 2), 14 * (label % 2)
        kernel[row : row + 14, column : column + 14, label % classes] = 0.05
    # What all readers share, as fine-tunings of one network do: alike for every class, so it decides nothing.
    ancestor = np.random.default_rng(0).normal(0.0, 0.3, (784, 1))
    kernel = kernel.reshape(784, classes) + ancestor + chance.normal(0.0, noise, (784, classes))
    ones = np.ones(784)
    norm = {
        "gamma": ones,
        "beta": 0 * ones,
        "moving_mean": 0.35 * ones,
        "moving_variance": 0.09 * variance * ones,
    }
    layers: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [(f"flatten{suffix}", "Flatten", {}, {})]
    if batch_norm:
        layers.append((f"norm{suffix}", "BatchNormalization", {"axis": -1, "epsilon": 0.001}, norm))
    settings = {"units": classes, "activation": "softmax", "use_bias": True}
    layers.append((f"dense{suffix}", "Dense", settings, {"kernel": kernel, "bias": np.zeros(classes)}))
    save_keras(path, layers)
    if card:
        write_card(path, Card(name=path.stem, classes=CLASSES[:classes], convention=Convention(), **card))
    return path
