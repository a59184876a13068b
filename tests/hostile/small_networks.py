"""The little networks that hostile files are made from, written by h5py and zipfile alone."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Config = dict[str, Any]


def layer(kind: str, name: str, **settings: Any) -> Config:
    """A layer's entry in a configuration."""
    return {"class_name": kind, "config": {"name": name, **settings}}


def sequential(*layers: Config) -> Config:
    """A Sequential model's configuration."""
    return {"class_name": "Sequential", "config": {"name": "net", "layers": list(layers)}}


INPUT = layer("InputLayer", "start", batch_shape=[None, 28, 28, 1])
FLAT = layer("Flatten", "flat")
DENSE = layer("Dense", "dense", units=10, activation="softmax")
SMALL = sequential(INPUT, FLAT, DENSE)
KERNEL = np.random.default_rng(0).normal(0, 0.05, (784, 10)).astype(np.float32)
ARRAYS = {"dense": {"kernel": KERNEL, "bias": np.zeros(10, np.float32)}}


def write_h5(path: Path, config: Any = SMALL, arrays: Mapping[str, Mapping[str, Any]] = ARRAYS) -> None:
    """An ``.h5`` as Keras 3 writes it; ``config`` may be a text."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "3.8.0"
        file.attrs["backend"] = "tensorflow"
        file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        for owner, weights in arrays.items():
            group = file.create_group(f"model_weights/{owner}")
            group.attrs["weight_names"] = [name.encode() for name in weights]
            for name, array in weights.items():
                group[name] = array


def with_kernel(path: Path, make: Callable[[Any], None]) -> None:
    """A small ``.h5`` in which ``make`` writes the kernel of the Dense layer into its group."""
    write_h5(path)
    with h5py.File(path, "a") as file:
        group = file["model_weights/dense"]
        del group["kernel"]
        make(group)


def with_dataset(path: Path, shape: tuple[int, ...] = KERNEL.shape, **settings: Any) -> None:
    """A small ``.h5`` whose kernel is a dataset with these settings and no values."""
    with_kernel(path, lambda group: group.create_dataset("kernel", shape, "f4", **settings))


def with_chunk(path: Path, stored: bytes, **settings: Any) -> None:
    """A small ``.h5`` whose kernel is one chunk with these stored bytes."""

    def make(group: Any) -> None:
        dataset = group.create_dataset("kernel", KERNEL.shape, "f4", chunks=KERNEL.shape, **settings)
        dataset.id.write_direct_chunk((0, 0), stored)

    with_kernel(path, make)


def inner_weights(kernel: Any = KERNEL, **settings: Any) -> bytes:
    """The HDF5 file inside a ``.keras`` archive."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("layers/dense/vars/0", data=kernel, **settings)
        file["layers/dense/vars/1"] = ARRAYS["dense"]["bias"]
    return buffer.getvalue()


def write_archive(
    path: Path,
    members: Mapping[str, bytes | str] | None = None,
    *,
    compression: int = zipfile.ZIP_STORED,
) -> None:
    """A ``.keras`` archive; ``members`` replaces or adds some, and an empty one is left out."""
    content: dict[str, bytes | str] = {
        "metadata.json": '{"keras_version": "3.8.0"}',
        "config.json": json.dumps(SMALL),
        "model.weights.h5": inner_weights(),
    }
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in (content | dict(members or {})).items():
            if data:
                archive.writestr(name, data)
