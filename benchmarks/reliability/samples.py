"""Little models of each dialect, made without a training framework."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from toolkit.graph.onnx_form import to_onnx
from toolkit.host.catalog import Catalog
from toolkit.host.kinds import MODEL_FORMATS
from toolkit.model import Card, Model
from toolkit.tensors import ArrayTensors, weights_digest
from toolkit.vocabulary import Convention

CLASSES = tuple("0123456789")
_LAYERS = (
    ("InputLayer", {"batch_shape": [None, 28, 28, 1], "name": "image"}),
    (
        "Conv2D",
        {
            "name": "strokes",
            "filters": 8,
            "kernel_size": [5, 5],
            "strides": [4, 4],
            "padding": "valid",
            "data_format": "channels_last",
            "dilation_rate": [1, 1],
            "groups": 1,
            "activation": "relu",
            "use_bias": True,
        },
    ),
    ("Flatten", {"name": "flat", "data_format": "channels_last"}),
    ("Dense", {"name": "classes", "units": 10, "activation": "softmax", "use_bias": True}),
)
_WEIGHTS = {
    "strokes": {"kernel": (5, 5, 1, 8), "bias": (8,)},
    "classes": {"kernel": (288, 10), "bias": (10,)},
}


def keras_model(name: str) -> Model:
    """A convolution and a dense layer; another name, other weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample.h5"
        with h5py.File(path, "w") as file:
            file.attrs["backend"] = "tensorflow"
            file.attrs["keras_version"] = "3.8.0"
            file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": _config()})
            _write_weights(file.create_group("model_weights"), name)
        return _in_memory(Catalog.load().get(MODEL_FORMATS, "h5").read(path), name)


def onnx_model(name: str) -> Model:
    """The same network in the dialect ``onnx``."""
    keras = keras_model(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample.onnx"
        path.write_bytes(to_onnx(keras.build_graph(), keras.tensors).SerializeToString())
        return _in_memory(Catalog.load().get(MODEL_FORMATS, "onnx").read(path), name)


def _config() -> dict[str, Any]:
    layers = [
        {
            "class_name": kind,
            "module": "keras.layers",
            "registered_name": None,
            "config": {"dtype": "float32"} | own,
        }
        for kind, own in _LAYERS
    ]
    return {"name": "sample", "layers": layers}


def _write_weights(group: h5py.Group, name: str) -> None:
    generator = np.random.default_rng(sum(name.encode()))
    group.attrs["layer_names"] = [b"strokes", b"flat", b"classes"]
    group.create_group("flat").attrs["weight_names"] = np.zeros(0, "S1")
    for layer, weights in _WEIGHTS.items():
        own = group.create_group(layer)
        own.attrs["weight_names"] = [f"{layer}/{weight}".encode() for weight in weights]
        for weight, shape in weights.items():
            values = generator.normal(0, 0.1, shape).astype("<f4")
            own.create_dataset(f"{layer}/{weight}", data=values)


def _in_memory(model: Model, name: str) -> Model:
    arrays = {
        key: (np.array(model.tensors.read(key)), spec.role) for key, spec in model.tensors.specs.items()
    }
    tensors = ArrayTensors(arrays)
    digest = weights_digest(tensors)
    card = Card(name, CLASSES, Convention(), weights_digest=digest)
    return model.with_tensors(tensors).with_card(card)
