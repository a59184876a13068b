"""Files of every age of Keras: what is found, and what is done. One network, written as each of them does.

Every row makes a file in one dialect, and reading it must give the outputs that NumPy computes.
"""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from keras_files import layer, run, sequential
from numpy.typing import NDArray

from toolkit.operations.open_model import open_model
from toolkit.operations.toolkit import Toolkit

Arrays = Mapping[str, Mapping[str, NDArray[Any]]]

SHAPES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "conv2d": {"kernel": (3, 3, 1, 2), "bias": (2,)},
    "batch_normalization": dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (2,)),
    "depthwise_conv2d": {"depthwise_kernel": (2, 2, 2, 1), "bias": (2,)},
    "dense": {"kernel": (18, 3), "bias": (3,)},
}
LAYERS = (
    layer("Conv2D", "conv2d", filters=2, kernel_size=[3, 3], activation="relu", padding="valid"),
    layer("BatchNormalization", "batch_normalization", axis=-1, epsilon=0.001),
    layer("DepthwiseConv2D", "depthwise_conv2d", kernel_size=[2, 2], padding="valid"),
    layer("Dropout", "dropout", rate=0.5),
    layer("Flatten", "flatten"),
    layer("Dense", "dense", units=3, activation="softmax"),
)
SHAPE = [None, 6, 6, 1]


def arrays() -> dict[str, dict[str, NDArray[Any]]]:
    random = np.random.default_rng(5)
    return {
        owner: {
            name: random.uniform(0.2 if "variance" in name else -1, 1, shape).astype(np.float32)
            for name, shape in weights.items()
        }
        for owner, weights in SHAPES.items()
    }


def outputs(x: NDArray[Any]) -> NDArray[Any]:
    """What the network computes, by NumPy alone."""
    held = {owner: {name: a.astype(np.float64) for name, a in ws.items()} for owner, ws in arrays().items()}
    views = np.lib.stride_tricks.sliding_window_view
    conv, norm, deep, dense = held.values()
    h = np.einsum("nabcij,ijco->nabo", views(x, (3, 3), axis=(1, 2)), conv["kernel"]) + conv["bias"]
    h = np.maximum(h, 0)
    h = (h - norm["moving_mean"]) / np.sqrt(norm["moving_variance"] + 0.001) * norm["gamma"] + norm["beta"]
    kernel = deep["depthwise_kernel"][..., 0]
    h = np.einsum("nabcij,ijc->nabc", views(h, (2, 2), axis=(1, 2)), kernel) + deep["bias"]
    logits = h.reshape(len(x), -1) @ dense["kernel"] + dense["bias"]
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[Any] = scores / scores.sum(axis=1, keepdims=True)
    return result


# --- how each age writes -------------------------------------------------------------------


def changed(**by_layer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The layers, with more settings for some; ``conv2d={"padding": …}``."""
    found = copy.deepcopy(list(LAYERS))
    for entry in found:
        entry["config"] |= by_layer.get(entry["config"]["name"], {})
    return found


def today(**by_layer: Mapping[str, Any]) -> dict[str, Any]:
    return sequential(layer("InputLayer", "start", batch_shape=SHAPE), *changed(**by_layer))


def first_layer_has_the_shape(**by_layer: Mapping[str, Any]) -> dict[str, Any]:
    """As Keras 2 describes a Sequential: without an InputLayer."""
    return sequential(*changed(**{"conv2d": {"batch_input_shape": SHAPE}} | by_layer))


def functional() -> dict[str, Any]:
    names = ["start", *SHAPES]
    entries = [layer("InputLayer", "start", batch_input_shape=SHAPE), *copy.deepcopy(LAYERS)]
    names = [entry["config"]["name"] for entry in entries]
    layers = [
        {**entry, "name": name, "inbound_nodes": [[[before, 0, 0, {}]]] if before else []}
        for entry, name, before in zip(entries, names, ["", *names], strict=False)
    ]
    ends = {"input_layers": [["start", 0, 0]], "output_layers": [["dense", 0, 0]]}
    return {"class_name": "Model", "config": {"name": "net", "layers": layers, **ends}}


def legacy(
    path: Path,
    config: Mapping[str, Any] | None,
    *,
    version: str = "2.4.0",
    backend: str = "tensorflow",
    name: Callable[[str, str], str] = lambda owner, weight: f"{owner}/{weight}:0",
    held: Arrays | None = None,
    parts: int = 1,
    training: Mapping[str, Any] | None = None,
) -> Path:
    """`model.save("….h5")`; without a configuration `save_weights`. Lists of names may be in parts."""
    held = held or arrays()
    with h5py.File(path, "w") as file:
        file.attrs["backend"] = backend
        file.attrs["keras_version"] = version
        group = file
        if config is not None:
            file.attrs["model_config"] = json.dumps(config)
            group = file.create_group("model_weights")
        if training is not None:
            file.attrs["training_config"] = json.dumps(training)
        _names(group, "layer_names", ["dropout", "flatten", *held], parts)
        for owner in ("dropout", "flatten"):
            _names(group.create_group(owner), "weight_names", [], 1)
        for owner, weights in held.items():
            inner = group.create_group(owner)
            _names(inner, "weight_names", [name(owner, weight) for weight in weights], parts)
            for weight, array in weights.items():
                inner[name(owner, weight)] = array
    return path


def _names(group: Any, attribute: str, names: list[str], parts: int) -> None:
    encoded = np.array([name.encode() for name in names])
    if parts == 1:
        group.attrs[attribute] = encoded
        return
    for index, part in enumerate(np.array_split(encoded, parts)):
        group.attrs[f"{attribute}{index}"] = part


def numbered(root: str, *, named: bool, held: Arrays | None = None) -> bytes:
    """`save_weights("….weights.h5")`, and the file of weights in an archive."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for owner, weights in (held or arrays()).items():
            variables = file.create_group(f"{root}/{owner}/vars")
            if named:
                variables.attrs["name"] = f"{owner}_7"
            for index, array in enumerate(weights.values()):
                variables[str(index)] = array
        for owner in ("dropout", "flatten"):
            file.create_group(f"{root}/{owner}/vars")
        file.create_group("vars")
    return buffer.getvalue()


def archive(path: Path, config: Mapping[str, Any], weights: bytes, version: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("metadata.json", json.dumps({"keras_version": version, "date_saved": ""}))
        file.writestr("config.json", json.dumps(config))
        file.writestr("model.weights.h5", weights)
    return path


def of_2_13(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration in the archives of Keras 2.13 to 2.15: today's form with yesterday's keys."""
    start = layer(
        "InputLayer", "conv2d_input", batch_input_shape=SHAPE, dtype="float32", sparse=False, ragged=False
    )
    layers = [
        {"module": "keras.layers", "registered_name": None, **entry, "build_config": {"input_shape": SHAPE}}
        for entry in (start, *config["config"]["layers"])
    ]
    model = sequential(*layers)
    compiled = {"optimizer": {"class_name": "Custom>RMSprop"}, "loss": "categorical_crossentropy"}
    return {"module": "keras", "registered_name": None, **model, "compile_config": compiled}


POLICY = {
    "module": "keras",
    "class_name": "DTypePolicy",
    "config": {"name": "float32"},
    "registered_name": None,
}


def of_3(**settings: Any) -> dict[str, Any]:
    """A configuration in the archives of Keras 3."""
    start = layer("InputLayer", "start", batch_shape=SHAPE, sparse=False)
    layers = [
        {"module": "keras.layers", "registered_name": None, **entry, "config": entry["config"] | settings}
        for entry in (start, *copy.deepcopy(LAYERS))
    ]
    return {"module": "keras", "registered_name": "Sequential", **sequential(*layers)}


def turned() -> dict[str, dict[str, NDArray[Any]]]:
    """Kernels as the Theano backend keeps them: turned by half a turn."""
    held = arrays()
    held["conv2d"]["kernel"] = held["conv2d"]["kernel"][::-1, ::-1]  # depthwise ones it turns itself
    return held


def beside(path: Path, config: Mapping[str, Any]) -> Path:
    """Put the JSON of the architecture beside a file of weights."""
    path.with_suffix(".json").write_text(json.dumps(config))
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


LOSS = {
    "loss": {
        "class_name": "SparseCategoricalCrossentropy",
        "config": {"reduction": "auto", "fn": "sparse_categorical_crossentropy", "from_logits": True},
    },
    "optimizer_config": {"class_name": "Custom>Adam", "config": {"jit_compile": True}},
}
AS_LIST = {"class_name": "Sequential", "config": first_layer_has_the_shape()["config"]["layers"]}
LISTED_AXES = {"batch_normalization": {"axis": [3]}}
GROUPS = {"depthwise_conv2d": {"groups": 1, "filters": 1, "kernel_initializer": None}}
OLD_ROOT = "_layer_checkpoint_dependencies"

ROWS: Mapping[str, Callable[[Path], Path]] = {
    "a Sequential as a list of layers, Keras 2.0": lambda folder: legacy(folder / "a.h5", AS_LIST),
    "no InputLayer, axes as lists, tf.keras 2.2": lambda folder: legacy(
        folder / "a.h5", first_layer_has_the_shape(**LISTED_AXES), version="2.2.4-tf"
    ),
    "a functional model of Keras 2": lambda folder: legacy(folder / "a.h5", functional()),
    "a loss object of Keras 2.13": lambda folder: legacy(
        folder / "a.h5", first_layer_has_the_shape(), version="2.13.1", training=LOSS
    ),
    "DepthwiseConv2D with groups": lambda folder: legacy(
        folder / "a.h5", first_layer_has_the_shape(**GROUPS)
    ),
    "names of a model that was loaded twice": lambda folder: legacy(
        folder / "a.h5", today(), name=lambda owner, weight: f"{owner}_4/{weight}:0"
    ),
    "bare names, Keras 3.0": lambda folder: legacy(
        folder / "a.h5", today(), version="3.0.5", name=lambda _, weight: weight
    ),
    "names of Keras 3.3": lambda folder: legacy(
        folder / "a.h5", today(), version="3.3.3", name=lambda owner, weight: f"sequential_2/{owner}/{weight}"
    ),
    "lists of names in parts": lambda folder: legacy(folder / "a.h5", today(), parts=2),
    "kernels of the Theano backend": lambda folder: legacy(
        folder / "a.h5", today(), backend="theano", held=turned()
    ),
    "weights only, by name": lambda folder: beside(legacy(folder / "a.h5", None), today()),
    "weights only, names in parts": lambda folder: beside(legacy(folder / "a.h5", None, parts=2), today()),
    "weights only, of the Theano backend": lambda folder: beside(
        legacy(folder / "a.h5", None, backend="theano", held=turned()), today()
    ),
    "weights only, Keras 2.13": lambda folder: beside(
        written(folder / "a.weights.h5", numbered(OLD_ROOT, named=False)), first_layer_has_the_shape()
    ),
    "weights only, Keras 3.0": lambda folder: beside(
        written(folder / "a.weights.h5", numbered("layers", named=False)), of_3()
    ),
    "weights only, Keras 3.8": lambda folder: beside(
        written(folder / "a.weights.h5", numbered("layers", named=True)), of_3(dtype=POLICY)
    ),
    "an archive of Keras 2.13": lambda folder: archive(
        folder / "a.keras",
        of_2_13(first_layer_has_the_shape()),
        numbered(OLD_ROOT, named=False),
        "2.13.1",
    ),
    "an archive of Keras 2.15, axes as lists": lambda folder: archive(
        folder / "a.keras",
        of_2_13(first_layer_has_the_shape(**LISTED_AXES)),
        numbered(OLD_ROOT, named=False),
        "2.15.0",
    ),
    "an archive of Keras 3.0": lambda folder: archive(
        folder / "a.keras", of_3(dtype="float32"), numbered("layers", named=False), "3.0.5"
    ),
    "an archive of Keras 3.8": lambda folder: archive(
        folder / "a.keras", of_3(dtype=POLICY), numbered("layers", named=True), "3.8.0"
    ),
    "an archive that does not name its version": lambda folder: archive(
        folder / "a.keras", of_3(dtype=POLICY), numbered("layers", named=True), ""
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_the_network_is_the_same_whichever_keras_wrote_it(row: str, tmp_path: Path) -> None:
    path = ROWS[row](tmp_path)
    model = open_model(Toolkit(tmp_path), path)
    assert (model.input_shape, model.output_shape) == ((6, 6, 1), (3,))
    x = np.random.default_rng(1).normal(size=(4, 6, 6, 1)).astype(np.float32)
    assert np.allclose(run(model, x), outputs(x), atol=1e-6)


LOADED = {
    *("a functional model of Keras 2", "names of a model that was loaded twice", "bare names, Keras 3.0"),
    *("names of Keras 3.3", "an archive of Keras 3.0", "an archive of Keras 3.8"),
}


# --- Keras 1, whose layers have other names, and kernels with the filters first -------------

KERAS_1 = {
    "Theano": ("th", "{}_{}", True),
    "Theano's order on TensorFlow": ("th", "{}_{}:0", False),
    "TensorFlow": ("tf", "{}_{}:0", False),
}


@pytest.mark.parametrize("backend", KERAS_1)
def test_a_network_of_keras_1(backend: str, tmp_path: Path) -> None:
    order, name, rotated = KERAS_1[backend]
    first = order == "th"
    settings = {"border_mode": "valid", "dim_ordering": order, "W_regularizer": None, "init": "he_normal"}
    config = sequential(
        layer(
            "Convolution2D",
            "convolution2d_1",
            nb_filter=2,
            nb_row=3,
            nb_col=3,
            subsample=[1, 1],
            bias=True,
            activation="relu",
            batch_input_shape=[None, 1, 6, 6] if first else SHAPE,
            **settings,
        ),
        layer("BatchNormalization", "batchnormalization_1", axis=1 if first else -1, mode=0, epsilon=0.001),
        layer("MaxPooling2D", "maxpooling2d_1", pool_size=[2, 2], strides=[2, 2], **settings),
        layer("Dropout", "dropout_1", p=0.5),
        layer("Flatten", "flatten_1"),
        layer("Dense", "dense_1", output_dim=3, input_dim=None, bias=True, activation="softmax"),
    )["config"]["layers"]
    given = arrays()
    kernel, dense = given["conv2d"]["kernel"], given["dense"]["kernel"][:8]
    stored = kernel[::-1, ::-1] if rotated else kernel
    stored = stored.transpose(3, 2, 0, 1) if first else stored
    statistics = given["batch_normalization"]
    held = {
        "convolution2d_1": {"W": stored, "b": np.ones(2, np.float32)},
        "batchnormalization_1": dict(
            zip(("gamma", "beta", "running_mean", "running_std"), statistics.values(), strict=True)
        ),
        "dense_1": {"W": dense, "b": np.zeros(3, np.float32)},
    }
    path = legacy(
        tmp_path / "a.h5",
        {"class_name": "Sequential", "config": config},
        version="1.2.2",
        held=held,
        name=lambda owner, weight: name.format(owner, weight),
    )
    with h5py.File(path, "a") as file:
        del file.attrs["backend"]
    model = open_model(Toolkit(tmp_path), path)
    x = np.random.default_rng(1).normal(size=(4, 6, 6, 1)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), (3, 3), axis=(1, 2))
    h = np.maximum(np.einsum("nabcij,ijco->nabo", windows, kernel) + 1, 0)
    mean, variance = statistics["moving_mean"], statistics["moving_variance"]
    h = (h - mean) / np.sqrt(variance + 0.001) * statistics["gamma"] + statistics["beta"]
    h = h.reshape(4, 2, 2, 2, 2, 2).max(axis=(2, 4))
    flat = (h.transpose(0, 3, 1, 2) if first else h).reshape(4, 8)
    scores = np.exp(flat @ dense)
    found = run(model, x.transpose(0, 3, 1, 2) if first else x)
    assert np.allclose(found, scores / scores.sum(axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("mode", ["sum", "concat", "dot"])
def test_a_merge_of_keras_1(mode: str, tmp_path: Path) -> None:
    from toolkit.errors import UnsupportedError

    def entry(kind: str, name: str, *sources: str, **settings: Any) -> dict[str, Any]:
        nodes = [[[source, 0, 0] for source in sources]] if sources else []
        return {**layer(kind, name, **settings), "name": name, "inbound_nodes": nodes}

    config = {
        "name": "model_1",
        "layers": [
            entry("InputLayer", "input_1", batch_input_shape=[None, 4]),
            entry("Dense", "dense_1", "input_1", output_dim=4, activation="linear", bias=False),
            entry("Merge", "merge_1", "input_1", "dense_1", mode=mode, mode_type="raw", concat_axis=-1),
        ],
        "input_layers": [["input_1", 0, 0]],
        "output_layers": [["merge_1", 0, 0]],
    }
    kernel = np.random.default_rng(2).normal(size=(4, 4)).astype(np.float32)
    path = legacy(
        tmp_path / "a.h5",
        {"class_name": "Model", "config": config},
        version="1.2.2",
        held={"dense_1": {"W": kernel}},
        name=lambda owner, weight: f"{owner}_{weight}:0",
    )
    if mode == "dot":
        with pytest.raises(UnsupportedError, match="'merge_1': a Merge with mode 'dot'"):
            open_model(Toolkit(tmp_path), path)
        return
    x = np.eye(4, dtype=np.float32)
    expected = x + x @ kernel if mode == "sum" else np.concatenate([x, x @ kernel], axis=1)
    assert np.allclose(run(open_model(Toolkit(tmp_path), path), x), expected, atol=1e-6)


@pytest.mark.train
def test_keras_computes_the_same_where_it_loads_the_file(tmp_path: Path) -> None:
    from toolkit.training.framework import load_tensorflow

    load_tensorflow()
    import keras

    x = np.random.default_rng(1).normal(size=(4, 6, 6, 1)).astype(np.float32)
    for number, row in enumerate(sorted(LOADED)):
        folder = tmp_path / str(number)
        folder.mkdir()
        network = keras.models.load_model(ROWS[row](folder), compile=False)
        assert np.allclose(np.asarray(network(x, training=False)), outputs(x), atol=1e-5), row


def test_a_picture_of_another_size_is_read_and_not_run_on_characters(tmp_path: Path) -> None:
    from toolkit.engine import require_character_network
    from toolkit.errors import UnsupportedError

    config = sequential(
        layer("InputLayer", "start", batch_shape=[None, 224, 224, 3]),
        layer("GlobalAveragePooling2D", "pool"),
        layer("Dense", "dense", units=3, activation="softmax"),
    )
    held = {"dense": {"kernel": np.ones((3, 3), np.float32), "bias": np.zeros(3, np.float32)}}
    model = open_model(Toolkit(tmp_path), legacy(tmp_path / "a.h5", config, held=held))
    assert run(model, np.zeros((1, 224, 224, 3), np.float32)).shape == (1, 3)
    with pytest.raises(UnsupportedError, match="224"):
        require_character_network(model)
