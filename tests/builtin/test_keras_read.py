"""Reading `.h5` and `.keras` files with h5py alone: dialects, refusals, laziness."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from toolkit.errors import LimitReachedError, MissingInputError, UnreadableInputError, UnsupportedError
from toolkit.model import Card, Model, TensorRole
from toolkit.types import Convention
from toolkit_keras.read_h5 import read_h5
from toolkit_keras.read_keras import read_keras
from toolkit_keras.snake_case import snake_case

Arrays = Mapping[str, Mapping[str, NDArray[Any]]]


def run(model: Model, x: NDArray[Any]) -> NDArray[Any]:
    """The model's outputs, computed by onnxruntime alone."""
    graph = model.build_graph()
    session = onnxruntime.InferenceSession(
        graph.bind(model.tensors).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run([graph.output], {graph.input: x})[0])


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


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_legacy(tmp_path / "small.h5", SMALL, small_arrays())


# --- other people's networks ---------------------------------------------------------------

SHARED = {
    "excal21-a-z97.h5": (26, 138_680),
    "excal21-a-z98.h5": (26, 138_680),
    "kayode004-byclass.h5": (62, 231_742),
    "khanhtran2000-byclass.h5": (62, 333_950),
    "khanhtran2000-letters.h5": (26, 329_306),
    "khanhtran2000-letters-augmented.h5": (26, 329_306),
    "moonflower2022-mnist.h5": (10, 34_826),
    "moonflower2022-mnist.keras": (10, 34_826),
    "msbrdmr-byclass.h5": (62, 231_742),
}


def read_any(path: Path) -> Model:
    return read_keras(path) if path.suffix == ".keras" else read_h5(path)


@pytest.mark.parametrize("name", SHARED)
def test_a_shared_model_is_read_and_run(name: str, shared: Path) -> None:
    model = read_any(shared / "models" / name)
    classes, parameters = SHARED[name]
    assert model.topology.input_shape == (28, 28, 1)
    assert model.topology.classes == classes
    assert model.topology.parameters == parameters
    assert "the optimizer's state" in model.dropped
    outputs = run(model, np.random.default_rng(0).random((3, 28, 28, 1), dtype=np.float32))
    assert outputs.shape == (3, classes)
    assert np.allclose(outputs.sum(axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "transposed", "at_least"),
    [("khanhtran2000-byclass.h5", False, 0.84), ("msbrdmr-byclass.h5", True, 0.82)],
)
def test_a_shared_model_recognises_characters(
    name: str, transposed: bool, at_least: float, shared: Path
) -> None:
    file = shared / "data" / "emnist" / "emnist-byclass-test.csv"
    rows = np.loadtxt(file, dtype=np.uint8, delimiter=",", max_rows=2000)
    images = rows[:, 1:].reshape(-1, 28, 28)
    if not transposed:
        images = images.transpose(0, 2, 1)
    outputs = run(read_any(shared / "models" / name), images[..., None].astype(np.float32) / 255)
    accuracy = (outputs.argmax(axis=1) == rows[:, 0]).mean()
    assert accuracy > at_least


def test_weights_alone_are_refused_by_name(shared: Path) -> None:
    with pytest.raises(UnsupportedError, match="weights only"):
        read_h5(shared / "models" / "khanhtran2000-byclass-weights-only.h5")


def test_two_trainings_of_one_network_have_one_topology_whatever_their_format(shared: Path) -> None:
    one, two = (read_any(shared / "models" / f"moonflower2022-mnist.{suffix}") for suffix in ("h5", "keras"))
    assert one.topology.layers == two.topology.layers
    assert list(one.tensors) == [
        *("conv2d/kernel", "conv2d/bias", "conv2d_1/kernel", "conv2d_1/bias", "dense/kernel", "dense/bias"),
    ]


# --- what is in a model --------------------------------------------------------------------


def test_tensors_bear_names_shapes_and_roles(small: Path) -> None:
    model = read_h5(small)
    specs = model.tensors.specs
    assert [(spec.name, spec.shape, spec.role) for spec in specs.values()] == [
        ("conv/kernel", (3, 3, 1, 2), TensorRole.KERNEL),
        ("conv/bias", (2,), TensorRole.BIAS),
        ("dense/kernel", (8, 3), TensorRole.KERNEL),
        ("dense/bias", (3,), TensorRole.BIAS),
    ]
    for owner, weights in small_arrays().items():
        for weight, array in weights.items():
            read = model.tensors.read(f"{owner}/{weight}")
            assert np.array_equal(read, array)
            assert read.flags.writeable
            assert read.flags.c_contiguous


def test_the_topology_says_what_matters_at_inference_and_no_more(small: Path) -> None:
    topology = read_h5(small).topology
    assert topology.dialect == "keras"
    assert topology.input_shape == (4, 4, 1)
    assert topology.output_shape == (3,)
    assert [(entry.name, entry.kind, entry.inputs) for entry in topology.layers] == [
        ("start", "InputLayer", ()),
        ("conv", "Conv2D", ("start",)),
        ("flat", "Flatten", ("conv",)),
        ("dense", "Dense", ("flat",)),
    ]
    conv = topology.layers[1]
    assert conv.attributes == {
        "filters": 2,
        "kernel_size": [3, 3],
        "strides": [1, 1],
        "dilation_rate": [1, 1],
        "groups": 1,
        "padding": "valid",
        "data_format": "channels_last",
        "use_bias": True,
        "activation": "relu",
    }
    json.dumps([dict(entry.attributes) for entry in topology.layers])


def test_nothing_is_read_before_it_is_asked_for(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toolkit_keras.image import Image

    read: list[str] = []
    original = Image.read_array

    def counted(self: Image, offset: int, shape: tuple[int, ...], dtype: Any, what: str) -> NDArray[Any]:
        read.append(what)
        return original(self, offset, shape, dtype, what)

    monkeypatch.setattr(Image, "read_array", counted)
    model = read_h5(small)
    model.build_graph()
    assert read == []
    model.tensors.read("conv/bias")
    assert read == ["small.h5: conv/bias"]


def test_many_threads_read_at_once(small: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed.h5"
    with h5py.File(small) as source, h5py.File(packed, "w") as target:
        for key, value in source.attrs.items():
            target.attrs[key] = value
        source.copy("model_weights", target)
        kernel = target["model_weights/dense/dense/kernel:0"][()]
        del target["model_weights/dense/dense/kernel:0"]
        target["model_weights/dense/dense"].create_dataset(
            "kernel:0", data=kernel, chunks=(4, 3), compression="gzip", shuffle=True, fletcher32=True
        )
    for path in (small, packed):
        model = read_h5(path)
        names = [*model.tensors] * 40
        with ThreadPoolExecutor(8) as pool:
            arrays = list(pool.map(model.tensors.read, names))
        for name, array in zip(names, arrays, strict=True):
            owner, weight = name.split("/")
            assert np.array_equal(array, small_arrays()[owner][weight])


def test_a_file_that_changes_under_an_open_model_is_noticed(small: Path) -> None:
    model = read_h5(small)
    write_legacy(small, SMALL, small_arrays(seed=1))
    with pytest.raises(UnreadableInputError, match="has changed"):
        model.tensors.read("conv/kernel")


def test_a_file_that_is_replaced_whole_is_noticed_too(small: Path, tmp_path: Path) -> None:
    model = read_h5(small)
    write_legacy(tmp_path / "new.h5", SMALL, small_arrays(seed=1)).replace(small)
    with pytest.raises(UnreadableInputError, match="has changed"):
        model.tensors.read("conv/kernel")


def test_big_endian_and_half_precision_are_read(tmp_path: Path) -> None:
    arrays = small_arrays()
    arrays["conv"]["kernel"] = arrays["conv"]["kernel"].astype(">f4")
    arrays["dense"]["kernel"] = arrays["dense"]["kernel"].astype(np.float16)
    model = read_h5(write_legacy(tmp_path / "a.h5", SMALL, arrays))
    assert model.tensors.specs["conv/kernel"].dtype == np.dtype("<f4")
    assert model.tensors.specs["dense/kernel"].dtype == np.dtype("<f2")
    assert np.array_equal(model.tensors.read("conv/kernel"), arrays["conv"]["kernel"])
    assert run(model, np.ones((2, 4, 4, 1), np.float32)).shape == (2, 3)


def test_bfloat16_is_widened_exactly(tmp_path: Path) -> None:
    arrays = small_arrays()
    halves = (arrays["dense"]["kernel"].view(np.uint32) >> 16).astype(np.uint16)
    arrays["dense"]["kernel"] = halves.view("V2")
    model = read_h5(write_legacy(tmp_path / "a.h5", SMALL, arrays))
    assert model.tensors.specs["dense/kernel"].dtype == np.dtype(np.float32)
    assert np.array_equal(model.tensors.read("dense/kernel").view(np.uint32), halves.astype(np.uint32) << 16)


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
    assert model.topology.input_shape == (4, 4, 1)
    x = np.random.default_rng(1).normal(size=(3, 4, 4, 1)).astype(np.float32)
    assert np.array_equal(run(model, x), run(today, x))
    layers = model.topology.description["config"]["layers"]
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
    """Its weights stand under its own group, trained ones first; calls are counted from one."""
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
    assert old.topology.layers != new.topology.layers


# --- the archive ---------------------------------------------------------------------------


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


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_stored_or_packed(compression: int, tmp_path: Path) -> None:
    path = write_archive(
        tmp_path / "a.keras", SMALL, weights_file(small_arrays(), GROUPS), compression=compression
    )
    model = read_keras(path)
    for owner, weights in small_arrays().items():
        for weight, array in weights.items():
            assert np.array_equal(model.tensors.read(f"{owner}/{weight}"), array)


def test_layers_are_counted_by_class_whatever_their_names(tmp_path: Path) -> None:
    config = sequential(
        layer("InputLayer", "start", batch_shape=[None, 2]),
        layer("Dense", "zebra", units=2),
        layer("PReLU", "slope"),
        layer("Dense", "ape", units=2),
    )
    one, two = np.eye(2, dtype=np.float32), 2 * np.eye(2, dtype=np.float32)
    zero = np.zeros(2, np.float32)
    arrays = {"zebra": {"k": one, "b": zero}, "ape": {"k": two, "b": zero}, "slope": {"alpha": zero + 0.5}}
    groups = {"zebra": "dense", "ape": "dense_1", "slope": "p_re_lu"}
    model = read_keras(write_archive(tmp_path / "a.keras", config, weights_file(arrays, groups)))
    assert np.array_equal(model.tensors.read("ape/kernel"), two)
    assert np.allclose(run(model, np.array([[1, -1]], np.float32)), [[2, -1]])


def test_states_of_random_generators_are_known_for_what_they_are(tmp_path: Path) -> None:
    config = sequential(INPUT, CONV, layer("Dropout", "drop", rate=0.5), layer("Flatten", "flat"), DENSE)
    state = {"layers/dropout/seed_generator/vars/0": np.array([7, 3], np.uint32)}
    model = read_keras(
        write_archive(tmp_path / "a.keras", config, weights_file(small_arrays(), GROUPS, state))
    )
    spec = model.tensors.specs["drop/seed_generator_state"]
    assert spec.role is TensorRole.GENERATOR_STATE
    assert not spec.is_float
    assert model.tensors.read(spec.name).tolist() == [7, 3]
    run(model, np.ones((1, 4, 4, 1), np.float32))


def test_training_state_is_dropped_and_said_so(tmp_path: Path) -> None:
    optimizer = {"optimizer/vars/0": np.zeros(3, np.float32)}
    config = SMALL | {
        "compile_config": {"optimizer": "adam", "loss": {"class_name": "__lambda__", "config": {}}}
    }
    model = read_keras(
        write_archive(tmp_path / "a.keras", config, weights_file(small_arrays(), GROUPS, optimizer))
    )
    assert model.dropped == ("the optimizer's state", "the training configuration")
    assert "compile_config" not in model.topology.description


def test_class_names_become_group_names_as_in_keras() -> None:
    assert [
        snake_case(name) for name in ("Conv2D", "DepthwiseConv2D", "PReLU", "MaxPooling2D", "LeakyReLU")
    ] == [
        *("conv2d", "depthwise_conv2d", "p_re_lu", "max_pooling2d", "leaky_re_lu"),
    ]


# --- cards ---------------------------------------------------------------------------------

CARD = Card(
    name="net",
    classes=("a", "b", "c"),
    convention=Convention("transposed"),
    metrics={"validation_accuracy": 0.9},
)


def test_an_embedded_card_is_read(small: Path, tmp_path: Path) -> None:
    with h5py.File(small, "a") as file:
        file.attrs["toolkit_card"] = CARD.to_json()
    assert read_h5(small).card == CARD
    weights = weights_file(small_arrays(), GROUPS)
    path = write_archive(tmp_path / "a.keras", SMALL, weights, members={"toolkit_card.json": CARD.to_json()})
    assert read_keras(path).card == CARD


def test_a_broken_card_does_not_cost_the_network(small: Path) -> None:
    with h5py.File(small, "a") as file:
        file.attrs["toolkit_card"] = "{"
    model = read_h5(small)
    assert model.card == Card()
    assert "card" in model.dropped[-1]


# --- refusals ------------------------------------------------------------------------------

NOT_MODELS = {
    "empty": (b"", "it is empty"),
    "zeros": (bytes(5000), "nothing but zeros"),
    "notebook": (b'{\n "cells": [], "nbformat": 4}', "Jupyter notebook"),
    "web page": (b"\n<!DOCTYPE html><html></html>", "web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
    "pickle": (b"\x80\x04\x95", "pickle"),
    "picture": (b"\x89PNG\r\n\x1a\n", "PNG"),
    "text": (b"hello", "begins otherwise"),
}


@pytest.mark.parametrize("name", NOT_MODELS)
@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_what_is_no_model_is_called_by_its_name(name: str, suffix: str, tmp_path: Path) -> None:
    content, what = NOT_MODELS[name]
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with pytest.raises(UnreadableInputError, match=what) as caught:
        read_any(path)
    assert str(tmp_path) not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_other_format_under_the_wrong_name(small: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.keras"
    wrong.write_bytes(small.read_bytes())
    with pytest.raises(UnreadableInputError, match=r"HDF5 file.*rename it"):
        read_keras(wrong)
    archive = write_archive(tmp_path / "archive.h5", SMALL, b"")
    with pytest.raises(UnreadableInputError, match=r"zip archive.*end in \.keras"):
        read_h5(archive)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"none\.h5"):
        read_h5(tmp_path / "none.h5")


def test_an_hdf5_file_of_something_else(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = np.zeros(3)
    with pytest.raises(UnreadableInputError, match="no Keras model"):
        read_h5(tmp_path / "a.h5")


LAMBDAS = {
    "Keras 2": layer("Lambda", "code", function=["4wEAAA==", None, None], function_type="lambda"),
    "Keras 3": layer(
        "Lambda", "code", function={"class_name": "__lambda__", "config": {"value": "4wEAAA=="}}
    ),
    "inside an activation": layer(
        "Dense", "code", units=3, activation={"class_name": "__lambda__", "config": {"value": "4wEAAA=="}}
    ),
}


@pytest.mark.parametrize("name", LAMBDAS)
def test_code_is_refused_by_name_and_never_run(name: str, tmp_path: Path) -> None:
    path = write_legacy(tmp_path / "a.h5", sequential(INPUT, LAMBDAS[name]), {})
    with pytest.raises(UnsupportedError, match="'code' is a Lambda"):
        read_h5(path)
    archive = write_archive(tmp_path / "a.keras", sequential(INPUT, LAMBDAS[name]), weights_file({}, {}))
    with pytest.raises(UnsupportedError, match="'code' is a Lambda"):
        read_keras(archive)


def test_a_class_of_its_own_is_refused_by_name(tmp_path: Path) -> None:
    path = write_legacy(tmp_path / "a.h5", {"class_name": "MyNet", "config": {}}, {})
    with pytest.raises(UnsupportedError, match=r"MyNet.*Sequential and Functional"):
        read_h5(path)


def test_a_custom_layer_with_a_known_name_is_not_taken_for_keras_own(tmp_path: Path) -> None:
    config = sequential(
        INPUT, {**layer("Dropout", "mine"), "module": "my_package.layers"}, layer("Flatten", "flat")
    )
    model = read_keras(write_archive(tmp_path / "a.keras", config, weights_file({}, {"mine": "dropout"})))
    with pytest.raises(UnsupportedError, match=r"mine \(Dropout\)"):
        model.build_graph()


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        ({"module": "builtins", "class_name": "function", "config": "swish"}, "custom swish"),
        ({"module": "my_package", "class_name": "LeakyReLU", "config": {"alpha": 0.1}}, "custom LeakyReLU"),
    ],
)
def test_a_custom_function_with_a_known_name_is_not_taken_for_keras_own(
    activation: dict[str, Any], name: str, tmp_path: Path
) -> None:
    dense = layer("Dense", "dense", units=3, activation=activation)
    config = sequential(INPUT, CONV, layer("Flatten", "flat"), dense)
    model = read_h5(write_legacy(tmp_path / "a.h5", config, small_arrays(), version="3.15.1"))
    with pytest.raises(UnsupportedError, match=f"'dense': activation '{name}'") as refused:
        model.build_graph()
    assert "hard_sigmoid_of_keras_2" not in (refused.value.hint or "")


def test_a_custom_layer_that_says_nothing_of_itself_is_refused_by_name(tmp_path: Path) -> None:
    config = sequential(INPUT, {"class_name": "mine>Block", "config": {"trainable": True}})
    with pytest.raises(UnsupportedError, match="'mine>Block', a class that is not Keras' own"):
        read_h5(write_legacy(tmp_path / "a.h5", config, {}))


def test_pixels_that_are_no_floats_are_refused_by_name(tmp_path: Path) -> None:
    start = layer("InputLayer", "start", batch_shape=[None, 4, 4, 1], dtype="uint8")
    config = sequential(start, CONV, layer("Flatten", "flat"), DENSE)
    model = read_h5(write_legacy(tmp_path / "a.h5", config, small_arrays()))
    with pytest.raises(UnsupportedError, match="'start': an input of type uint8"):
        model.build_graph()


def test_a_function_called_with_a_number_is_refused_by_name(tmp_path: Path) -> None:
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": ["start", 0, 0]}}
    minus = {
        "class_name": "Subtract",
        "config": {"name": "minus"},
        "inbound_nodes": [{"args": [tensor, 0.5], "kwargs": {}}],
    }
    start = {**layer("InputLayer", "start", batch_shape=[None, 4]), "inbound_nodes": []}
    inner = {
        "name": "net",
        "layers": [start, minus],
        "input_layers": [["start", 0, 0]],
        "output_layers": [["minus", 0, 0]],
    }
    path = write_legacy(
        tmp_path / "a.h5", {"class_name": "Functional", "config": inner}, {}, version="3.15.1"
    )
    with pytest.raises(UnsupportedError, match=r"'minus' is called with constants=\[0.5\]"):
        read_h5(path).build_graph()


def test_a_function_of_tensorflow_is_refused_by_name(tmp_path: Path) -> None:
    start = {**layer("InputLayer", "start", batch_input_shape=[None, 4]), "inbound_nodes": []}
    divide = {
        **layer("TFOpLambda", "divide", trainable=True, function="math.truediv"),
        "name": "divide",
        "inbound_nodes": [["start", 0, 0, {"y": 255.0}]],  # one list less than every other layer has
    }
    inner = {
        "name": "net",
        "layers": [start, divide],
        "input_layers": [["start", 0, 0]],
        "output_layers": [["divide", 0, 0]],
    }
    path = write_legacy(tmp_path / "a.h5", {"class_name": "Functional", "config": inner}, {})
    with pytest.raises(UnsupportedError, match=r"divide \(TFOpLambda\)"):
        read_h5(path).build_graph()


def test_quantised_layers_are_refused_by_name(tmp_path: Path) -> None:
    config = sequential(INPUT, layer("Dense", "packed", units=3, dtype="int8_from_float32"))
    with pytest.raises(UnsupportedError, match="'packed' is quantised"):
        read_h5(write_legacy(tmp_path / "a.h5", config, {}))


def test_weights_that_do_not_fit_the_architecture_are_refused(tmp_path: Path) -> None:
    arrays = small_arrays()
    arrays["dense"]["kernel"] = np.zeros((9, 3), np.float32)
    with pytest.raises(
        UnreadableInputError, match=r"'dense' should hold kernel 8×3.*the file has kernel 9×3"
    ):
        read_h5(write_legacy(tmp_path / "a.h5", SMALL, arrays))
    with pytest.raises(UnreadableInputError, match=r"dense/kernel should be 8×3.*9×3"):
        read_keras(write_archive(tmp_path / "a.keras", SMALL, weights_file(arrays, GROUPS)))
    del arrays["dense"]
    with pytest.raises(UnreadableInputError, match="no tensors"):
        read_h5(write_legacy(tmp_path / "b.h5", SMALL, arrays))
    with pytest.raises(UnreadableInputError, match="should hold 2 tensors"):
        read_keras(write_archive(tmp_path / "b.keras", SMALL, weights_file(arrays, GROUPS)))


# --- hostile files -------------------------------------------------------------------------


def _replace(path: Path, make: Callable[[Any], None]) -> Path:
    with h5py.File(path, "a") as file:
        group = file["model_weights/dense/dense"]
        del group["kernel:0"]
        make(group)
    return path


def test_links_to_other_places_are_never_followed(small: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["kernel"] = np.zeros((8, 3), np.float32)

    def external(group: Any) -> None:
        group["kernel:0"] = h5py.ExternalLink(str(secret), "/kernel")

    with pytest.raises(UnsupportedError, match="ExternalLink"):
        read_h5(_replace(small, external))


def test_soft_links_are_never_followed(small: Path) -> None:
    def soft(group: Any) -> None:
        group.file["elsewhere"] = np.zeros((8, 3), np.float32)
        group["kernel:0"] = h5py.SoftLink("/elsewhere")

    with pytest.raises(UnsupportedError, match="SoftLink"):
        read_h5(_replace(small, soft))


def test_a_whole_group_behind_a_link_is_refused(small: Path) -> None:
    with h5py.File(small, "a") as file:
        file.move("model_weights/dense", "other")
        file["model_weights/dense"] = h5py.SoftLink("/other")
    with pytest.raises(UnsupportedError, match="SoftLink"):
        read_h5(small)


def test_values_in_other_files_are_never_read(small: Path, tmp_path: Path) -> None:
    (tmp_path / "raw.bin").write_bytes(bytes(96))

    def external(group: Any) -> None:
        group.create_dataset("kernel:0", (8, 3), "f4", external=[(str(tmp_path / "raw.bin"), 0, 96)])

    with pytest.raises(UnsupportedError, match="another file"):
        read_h5(_replace(small, external))


def test_virtual_tensors_are_never_read(small: Path, tmp_path: Path) -> None:
    def virtual(group: Any) -> None:
        layout = h5py.VirtualLayout((8, 3), "f4")
        layout[...] = h5py.VirtualSource(str(tmp_path / "x.h5"), "x", (8, 3), "f4")
        group.create_virtual_dataset("kernel:0", layout)

    with pytest.raises(UnsupportedError, match="another file"):
        read_h5(_replace(small, virtual))


def test_a_small_file_that_declares_gigabytes_is_refused_at_once(tmp_path: Path) -> None:
    units = 1 << 20
    config = sequential(
        layer("InputLayer", "start", batch_shape=[None, 1 << 10]), layer("Dense", "dense", units=units)
    )
    path = write_legacy(tmp_path / "a.h5", config, {})
    with h5py.File(path, "a") as file:
        group = file["model_weights"].create_group("dense")
        group.attrs["weight_names"] = [b"kernel", b"bias"]
        group.create_dataset("kernel", (1 << 10, units), "f4", chunks=(1, 1 << 16), compression="gzip")
        group.create_dataset("bias", (units,), "f4", chunks=(1 << 16,), compression="gzip")
    assert path.stat().st_size < 50_000
    started = time.process_time()
    with pytest.raises(UnreadableInputError, match=r"declares 4,294,967,296 bytes and stores 0"):
        read_h5(path)
    assert time.process_time() - started < 2


def test_what_is_no_number_is_refused(small: Path) -> None:
    def texts(group: Any) -> None:
        group.create_dataset("kernel:0", data=np.full((8, 3), b"x", dtype=object), dtype=h5py.string_dtype())

    with pytest.raises(UnreadableInputError, match="not numbers"):
        read_h5(_replace(small, texts))


def test_an_archive_with_two_members_of_one_name_is_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.keras", SMALL, weights_file(small_arrays(), GROUPS))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", "{}")
    with pytest.raises(UnreadableInputError, match="twice"):
        read_keras(path)


def test_a_packed_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", "{}")
        with archive.open("config.json", "w") as member:
            for _ in range(40):
                member.write(b" " * (1 << 20))
    with pytest.raises(LimitReachedError, match=r"config\.json declares"):
        read_keras(path)


def test_a_flipped_bit_in_an_archive_is_found(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.keras", SMALL, weights_file(small_arrays(), GROUPS))
    content = bytearray(path.read_bytes())
    place = content.find(small_arrays()["dense"]["kernel"].tobytes())
    content[place + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnreadableInputError, match="CRC"):
        read_keras(path)


CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "no layers": {"class_name": "Sequential", "config": {"name": "net", "layers": []}},
    "no config": {"class_name": "Sequential"},
    "two of one name": sequential(INPUT, CONV, CONV),
    "a bad number": sequential(INPUT, layer("Dense", "dense", units="three")),
    "a huge number": sequential(INPUT, layer("Dense", "dense", units=10**30)),
    "a window that does not fit": sequential(INPUT, layer("Conv2D", "conv", filters=2, kernel_size=[9, 9])),
    "a shape that does not fit": sequential(INPUT, layer("Reshape", "shape", target_shape=[5, 5])),
    "an endless loop": {
        "class_name": "Functional",
        "config": {
            "name": "net",
            "layers": [
                {**INPUT, "name": "start", "inbound_nodes": []},
                {**layer("ReLU", "one"), "name": "one", "inbound_nodes": [[["two", 0, 0, {}]]]},
                {**layer("ReLU", "two"), "name": "two", "inbound_nodes": [[["one", 0, 0, {}]]]},
            ],
            "input_layers": [["start", 0, 0]],
            "output_layers": [["two", 0, 0]],
        },
    },
    "an end that leads nowhere": {
        "class_name": "Functional",
        "config": {
            "name": "net",
            "layers": [{**INPUT, "name": "start", "inbound_nodes": []}],
            "input_layers": [["start", 0, 0]],
            "output_layers": [["nobody", 0, 0]],
        },
    },
    "a name that climbs": sequential(INPUT, layer("ReLU", "../x")),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_configuration_that_contradicts_itself_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError) as caught:
        read_h5(write_legacy(tmp_path / "a.h5", CONTRADICTIONS[name], {}))
    assert "\n" not in str(caught.value)


def test_a_configuration_of_endless_depth_is_refused(tmp_path: Path) -> None:
    path = write_legacy(tmp_path / "a.h5", SMALL, {})
    for depth in (500, 200_000):
        with h5py.File(path, "a") as file:
            file.attrs["model_config"] = (
                '{"class_name": "Sequential", "config": ' + "[" * depth + "]" * depth + "}"
            )
        with pytest.raises((LimitReachedError, UnreadableInputError)):
            read_h5(path)


def test_models_that_call_one_another_without_end_are_refused(tmp_path: Path) -> None:
    """Nested twenty deep, each calling the next twice: a million calls from a small file."""

    def nest(depth: int) -> dict[str, Any]:
        inner = layer("ReLU", "end") if depth == 0 else nest(depth - 1)
        name = inner["config"]["name"]
        return {
            "class_name": "Functional",
            "config": {
                "name": f"model{depth}",
                "layers": [
                    {
                        **layer("InputLayer", "start", batch_shape=[None, 3]),
                        "name": "start",
                        "inbound_nodes": [],
                    },
                    {**inner, "name": name, "inbound_nodes": [[["start", 0, 0, {}]], [["start", 0, 0, {}]]]},
                ],
                "input_layers": [["start", 0, 0]],
                "output_layers": [[name, 1, 0]],
            },
        }

    with pytest.raises(LimitReachedError, match="more than"):
        read_h5(write_legacy(tmp_path / "a.h5", nest(18), {}))


# --- what it costs -------------------------------------------------------------------------


def test_declaring_imports_nothing_heavy_and_reading_no_framework(small: Path) -> None:
    program = (
        "import sys\n"
        "import toolkit_keras\n"
        "list(toolkit_keras.toolkit_model_formats()), list(toolkit_keras.toolkit_exporters())\n"
        "heavy = {'numpy', 'h5py', 'onnx', 'onnxruntime', 'tensorflow', 'keras'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "from pathlib import Path\n"
        "(form,) = [form for form in toolkit_keras.toolkit_model_formats() if '.h5' in form.suffixes]\n"
        f"model = form.read(Path({str(small)!r}))\n"
        "assert len(model.tensors) == 4\n"
        "assert not {'onnx', 'onnxruntime', 'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
