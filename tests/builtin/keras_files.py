"""Little Keras files of any age, written by h5py and zipfile alone."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from toolkit.graph.onnx_form import to_onnx
from toolkit.model import Model
from toolkit_keras.read_h5 import read_h5
from toolkit_keras.read_keras import read_keras

Arrays = Mapping[str, Mapping[str, NDArray[Any]]]


def layer(kind: str, name: str, **settings: Any) -> dict[str, Any]:
    """A layer's entry in a configuration."""
    return {"class_name": kind, "config": {"name": name, **settings}}


def sequential(*layers: dict[str, Any], name: str = "net") -> dict[str, Any]:
    """A Sequential model's configuration."""
    return {"class_name": "Sequential", "config": {"name": name, "layers": list(layers)}}


INPUT = layer("InputLayer", "start", batch_shape=[None, 4, 4, 1])
CONV = layer("Conv2D", "conv", filters=2, kernel_size=[3, 3], activation="relu")
DENSE = layer("Dense", "dense", units=3, activation="softmax")
SMALL = sequential(INPUT, CONV, layer("Flatten", "flat"), DENSE)


def small_arrays(seed: int = 0) -> dict[str, dict[str, NDArray[Any]]]:
    random = np.random.default_rng(seed)
    shapes = {"conv": {"kernel": (3, 3, 1, 2), "bias": (2,)}, "dense": {"kernel": (8, 3), "bias": (3,)}}
    return {
        name: {weight: random.normal(size=shape).astype(np.float32) for weight, shape in weights.items()}
        for name, weights in shapes.items()
    }


def write_legacy(
    path: Path,
    config: Mapping[str, Any],
    arrays: Arrays,
    *,
    name: Callable[[str, str], str] = lambda layer, weight: f"{layer}/{weight}:0",
    version: str = "2.4.0",
    backend: str = "tensorflow",
) -> Path:
    """An `.h5` file as Keras 2 writes it, with the given names of weights."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version
        file.attrs["backend"] = backend
        file.attrs["model_config"] = json.dumps(config)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [text.encode() for text in arrays]
        for owner, weights in arrays.items():
            inner = group.create_group(owner)
            names = [name(owner, weight) for weight in weights]
            inner.attrs["weight_names"] = [text.encode() for text in names]
            for text, array in zip(names, weights.values(), strict=True):
                inner[text] = array
    return path


def wide_network(path: Path, wide: int, second: int) -> Path:
    """A convolution and dense layers with batch normalisations; its size is that of two kernels."""
    rng = np.random.default_rng(0)

    def norm(n: int) -> dict[str, NDArray[Any]]:
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        return {name: rng.uniform(0.5, 1.5, n).astype(np.float32) for name in names}

    def dense(inputs: int, outputs: int) -> dict[str, NDArray[Any]]:
        kernel = rng.standard_normal((inputs, outputs), dtype=np.float32)
        kernel *= np.float32(inputs**-0.5)
        return {"kernel": kernel, "bias": np.zeros(outputs, np.float32)}

    config = sequential(
        layer("InputLayer", "start", batch_shape=[None, 28, 28, 1]),
        layer("Conv2D", "conv", filters=8, kernel_size=[3, 3], activation="relu"),
        layer("BatchNormalization", "first"),
        layer("Flatten", "flat"),
        layer("Dense", "one", units=wide),
        layer("BatchNormalization", "second"),
        layer("ReLU", "relu"),
        layer("Dense", "two", units=second, activation="relu"),
        layer("Dense", "head", units=26, activation="softmax"),
    )
    kernel = rng.standard_normal((3, 3, 1, 8), dtype=np.float32)
    arrays = {
        "conv": {"kernel": kernel, "bias": np.zeros(8, np.float32)},
        "first": norm(8),
        "one": dense(26 * 26 * 8, wide),
        "second": norm(wide),
        "two": dense(wide, second),
        "head": dense(second, 26),
    }
    return write_legacy(path, config, arrays)


def weights_file(
    arrays: Arrays, groups: Mapping[str, str], extra: Mapping[str, NDArray[Any]] | None = None
) -> bytes:
    """The HDF5 file inside an archive."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for owner, group in groups.items():
            for index, array in enumerate(arrays.get(owner, {}).values()):
                file[f"layers/{group}/vars/{index}"] = array
        for place, array in (extra or {}).items():
            file[place] = array
    return buffer.getvalue()


def write_archive(
    path: Path,
    config: Mapping[str, Any],
    weights: bytes,
    *,
    compression: int = zipfile.ZIP_STORED,
    members: Mapping[str, str] | None = None,
    version: str = "3.4.0",
) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights)
        for name, text in (members or {}).items():
            archive.writestr(name, text)
    return path


GROUPS = {"conv": "conv2d", "dense": "dense"}


def read_any(path: Path) -> Model:
    return read_keras(path) if path.suffix == ".keras" else read_h5(path)


def run(model: Model, x: NDArray[Any]) -> NDArray[Any]:
    """The model's outputs, computed by onnxruntime alone."""
    graph = model.build_graph()
    session = onnxruntime.InferenceSession(
        to_onnx(graph, model.tensors).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run([graph.output], {graph.input: x})[0])
