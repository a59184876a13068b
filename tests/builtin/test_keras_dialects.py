"""Names of weights through the ages, older configurations and other backends: one network all the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from keras_files import DENSE, SMALL, layer, run, sequential, small_arrays, write_legacy

from toolkit.model.correspondence import signature
from toolkit_keras.read_h5 import read_h5

# --- names of weights through the ages -----------------------------------------------------

NAMES: dict[str, Callable[[str, str], str]] = {
    "Keras 2": lambda owner, weight: f"{owner}/{weight}:0",
    "Keras 2 on a server": lambda owner, weight: f"{owner}_7/{weight}:0",
    "Keras 3.0": lambda _, weight: weight,
    "Keras 3.3, functional": lambda owner, weight: f"{owner}/{weight}",
    "Keras 3.3, sequential": lambda owner, weight: f"sequential_2/{owner}/{weight}",
    "Keras 1": lambda owner, weight: f"{owner}_{'W' if weight == 'kernel' else 'b'}",
}


@pytest.mark.parametrize("age", NAMES)
def test_weights_are_found_under_the_names_of_every_age(age: str, tmp_path: Path) -> None:
    model = read_h5(write_legacy(tmp_path / "a.h5", SMALL, small_arrays(), name=NAMES[age]))
    assert np.array_equal(model.tensors.read("dense/kernel"), small_arrays()["dense"]["kernel"])


def test_long_lists_of_names_are_put_together(small: Path) -> None:
    with h5py.File(small, "a") as file:
        group = file["model_weights/conv"]
        names = list(group.attrs["weight_names"])
        del group.attrs["weight_names"]
        for index, name in enumerate(names):
            group.attrs[f"weight_names{index}"] = [name]
    assert len(read_h5(small).tensors) == 4


# --- older dialects ------------------------------------------------------------------------


def test_a_sequential_without_input_layer(tmp_path: Path) -> None:
    first = layer(
        "Conv2D", "conv", filters=2, kernel_size=[3, 3], activation="relu", batch_input_shape=[None, 4, 4, 1]
    )
    old = sequential(first, layer("Flatten", "flat"), DENSE)
    model = read_h5(write_legacy(tmp_path / "old.h5", old, small_arrays()))
    today = read_h5(write_legacy(tmp_path / "today.h5", SMALL, small_arrays(), version="3.15.1"))
    assert model.input_shape == (4, 4, 1)
    x = np.random.default_rng(1).normal(size=(3, 4, 4, 1)).astype(np.float32)
    assert np.array_equal(run(model, x), run(today, x))
    layers = model.description["config"]["layers"]
    assert layers[0]["class_name"] == "InputLayer"
    assert "batch_input_shape" not in json.dumps(layers)


def twice_through_one_layer() -> dict[str, Any]:
    """What a shared Dense makes of the input, plus what it makes of that."""
    return {
        "class_name": "Model",
        "config": {
            "name": "net",
            "layers": [
                {
                    **layer("InputLayer", "start", batch_input_shape=[None, 3]),
                    "name": "start",
                    "inbound_nodes": [],
                },
                {
                    **layer("Dense", "shared", units=3, activation="tanh"),
                    "name": "shared",
                    "inbound_nodes": [[["start", 0, 0, {}]], [["shared", 0, 0, {}]]],
                },
                {
                    **layer("Add", "sum"),
                    "name": "sum",
                    "inbound_nodes": [[["shared", 0, 0, {}], ["shared", 1, 0, {}]]],
                },
            ],
            "input_layers": [["start", 0, 0]],
            "output_layers": [["sum", 0, 0]],
        },
    }


def test_a_functional_model_of_keras_2_with_a_shared_layer(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    kernel, bias = random.normal(size=(3, 3)).astype(np.float32), random.normal(size=3).astype(np.float32)
    arrays = {"shared": {"kernel": kernel, "bias": bias}}
    model = read_h5(write_legacy(tmp_path / "a.h5", twice_through_one_layer(), arrays))
    x = random.normal(size=(2, 3)).astype(np.float32)
    once = np.tanh(x @ kernel + bias)
    assert np.allclose(run(model, x), once + np.tanh(once @ kernel + bias), atol=1e-6)


def test_a_nested_model_of_keras_2(tmp_path: Path) -> None:
    """Its weights are in its own group, trained ones first; calls are counted from one."""
    norm = layer("BatchNormalization", "norm", axis=[3])
    first = layer("Conv2D", "conv", filters=2, kernel_size=[1, 1], batch_input_shape=[None, 2, 2, 1])
    inner = sequential(first, norm, layer("Conv2D", "last", filters=1, kernel_size=[1, 1]), name="inner")
    outer = {
        "class_name": "Functional",
        "config": {
            "name": "outer",
            "layers": [
                {
                    **layer("InputLayer", "start", batch_input_shape=[None, 2, 2, 1]),
                    "name": "start",
                    "inbound_nodes": [],
                },
                {**inner, "name": "inner", "inbound_nodes": [[["start", 0, 0, {}]]]},
                {**layer("Flatten", "flat"), "name": "flat", "inbound_nodes": [[["inner", 1, 0, {}]]]},
            ],
            "input_layers": [["start", 0, 0]],
            "output_layers": [["flat", 0, 0]],
        },
    }
    random = np.random.default_rng(5)
    shapes = {
        "conv/kernel:0": (1, 1, 1, 2),
        "conv/bias:0": (2,),
        "norm/gamma:0": (2,),
        "norm/beta:0": (2,),
        "last/kernel:0": (1, 1, 2, 1),
        "last/bias:0": (1,),
        "norm/moving_mean:0": (2,),
        "norm/moving_variance:0": (2,),
    }
    arrays = {key: random.uniform(0.5, 1.5, shape).astype(np.float32) for key, shape in shapes.items()}
    path = write_legacy(tmp_path / "a.h5", outer, {"inner": arrays}, name=lambda _, weight: weight)
    model = read_h5(path)
    assert [*model.tensors] == [
        *("inner/conv/kernel", "inner/conv/bias", "inner/norm/gamma", "inner/norm/beta"),
        *("inner/norm/moving_mean", "inner/norm/moving_variance", "inner/last/kernel", "inner/last/bias"),
    ]
    x = random.normal(size=(2, 2, 2, 1)).astype(np.float32)
    h = x * arrays["conv/kernel:0"][0, 0, 0] + arrays["conv/bias:0"]
    h = (h - arrays["norm/moving_mean:0"]) / np.sqrt(arrays["norm/moving_variance:0"] + 1e-3)
    h = h * arrays["norm/gamma:0"] + arrays["norm/beta:0"]
    h = h @ arrays["last/kernel:0"][0, 0] + arrays["last/bias:0"]
    assert np.allclose(run(model, x), h.reshape(2, 4), atol=1e-5)


def test_kernels_of_the_theano_backend_are_turned(tmp_path: Path) -> None:
    plain = read_h5(write_legacy(tmp_path / "tensorflow.h5", SMALL, small_arrays()))
    turned = small_arrays()
    turned["conv"]["kernel"] = turned["conv"]["kernel"][::-1, ::-1]
    theano = read_h5(write_legacy(tmp_path / "theano.h5", SMALL, turned, backend="theano"))
    for name in plain.tensors:
        assert np.array_equal(plain.tensors.read(name), theano.tensors.read(name)), name


def test_hard_sigmoid_of_keras_2_is_not_that_of_keras_3(tmp_path: Path) -> None:
    config = sequential(
        layer("InputLayer", "start", batch_shape=[None, 3]),
        layer("Dense", "dense", units=2, activation="hard_sigmoid"),
    )
    arrays = {"dense": {"kernel": np.ones((3, 2), np.float32), "bias": np.zeros(2, np.float32)}}
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    old = read_h5(write_legacy(tmp_path / "old.h5", config, arrays, version="2.4.0"))
    new = read_h5(write_legacy(tmp_path / "new.h5", config, arrays, version="3.4.0"))
    total = x.sum(axis=1, keepdims=True)
    assert np.allclose(run(old, x), np.clip(0.2 * total + 0.5, 0, 1), atol=1e-6)
    assert np.allclose(run(new, x), np.clip(total / 6 + 0.5, 0, 1), atol=1e-6)
    assert signature(old) != signature(new)
