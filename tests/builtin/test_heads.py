"""Fewer outputs, or outputs in another order: the values that remain are the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_files
import pytest
from keras_files import CONV, DENSE, INPUT, layer, read_any, run, sequential, write_legacy
from keras_networks import fill
from onnx import helper

from toolkit.errors import UnsupportedError, UsageError
from toolkit.graph.onnx_form import to_onnx
from toolkit.model import Card, Model
from toolkit.model.correspondence import signature
from toolkit.model.heads import take_outputs, without_unused
from toolkit.tensors import weights_digest
from toolkit_keras.read_h5 import read_h5
from toolkit_keras.write_h5 import write_h5
from toolkit_keras.write_keras import write_keras
from toolkit_onnx.writing import write as write_onnx

ORDER = (4, 1, 3)
CHANNELS = 6


def dense_softmax(keras: Any) -> Any:
    layers = keras.layers
    return [layers.Flatten(), layers.Dense(5, activation="softmax")]


def convolution_and_pooling(keras: Any) -> Any:
    layers = keras.layers
    return [layers.Conv2D(5, 1), layers.GlobalAveragePooling2D()]


def normalised_convolution(keras: Any) -> Any:
    layers = keras.layers
    norm = layers.BatchNormalization()
    return [layers.Conv2D(5, 8, use_bias=False), norm, layers.Flatten(), layers.Softmax()]


def separable(keras: Any) -> Any:
    layers = keras.layers
    return [layers.SeparableConv2D(5, 8), layers.Reshape((5,)), layers.Activation("sigmoid")]


def reshaped_map(keras: Any) -> Any:
    layers = keras.layers
    return [layers.GlobalMaxPooling2D(), layers.Reshape((1, 1, 6)), layers.Conv2D(5, 1), layers.Reshape((5,))]


def gelu_and_scaling(keras: Any) -> Any:
    layers = keras.layers
    dense = layers.Dense(5, use_bias=False, activation="gelu")
    return [layers.Flatten(), dense, layers.PReLU(), layers.Rescaling(2.0, offset=1.0)]


HEADS = [
    dense_softmax,
    convolution_and_pooling,
    normalised_convolution,
    separable,
    reshaped_map,
    gelu_and_scaling,
]


def expected(values: np.ndarray, *, softmax: bool) -> np.ndarray:
    kept = values[:, list(ORDER)]
    return kept / kept.sum(axis=1, keepdims=True) if softmax else kept


@pytest.mark.parametrize("head", HEADS)
def test_a_keras_file_with_fewer_outputs_loads_in_keras_and_gives_the_same_values(
    keras: Any, head: Callable[[Any], Any], tmp_path: Path
) -> None:
    network = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Conv2D(CHANNELS, 3, padding="same"), *head(keras)]
    )
    fill(network, 3)
    network.save(tmp_path / "whole.h5")
    model = read_h5(tmp_path / "whole.h5").with_card(Card(classes=("a", "b", "c", "d", "e")))
    taken = take_outputs(model, ORDER)
    assert taken.card.classes == ("e", "b", "d")
    assert (taken.classes, taken.output_shape) == (3, (3,))
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype(np.float32)
    softmax = head in (dense_softmax, normalised_convolution)
    wanted = expected(np.asarray(network(x, training=False)), softmax=softmax)
    onnx.checker.check_model(to_onnx(taken.build_graph(), taken.tensors), full_check=True)
    assert np.abs(run(taken, x) - wanted).max() < 1e-5
    for suffix, write in (("h5", write_h5), ("keras", write_keras)):
        path = tmp_path / f"taken.{suffix}"
        write(taken, path)
        assert np.abs(np.asarray(keras.models.load_model(path)(x, training=False)) - wanted).max() < 1e-5
        read = read_any(path)
        assert signature(read) == signature(taken)
        assert weights_digest(read.tensors) == weights_digest(taken.tensors)


def test_nested_networks_get_the_size_of_the_inner_layer(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    inner = keras.Sequential([keras.Input((64,)), layers.Dense(5, name="scores")], name="inner")
    network = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), inner, layers.Softmax()])
    fill(network, 3)
    network.save(tmp_path / "whole.keras")
    write_keras(take_outputs(read_any(tmp_path / "whole.keras"), ORDER), tmp_path / "taken.keras")
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype(np.float32)
    loaded = keras.models.load_model(tmp_path / "taken.keras")
    assert np.abs(np.asarray(loaded(x)) - expected(np.asarray(network(x)), softmax=True)).max() < 1e-5


def onnx_model(nodes: list[Any], tensors: list[Any]) -> Model:
    return onnx_files.as_model(onnx_files.make(nodes, tensors))


def gemm(**attributes: Any) -> Model:
    node = helper.make_node
    nodes = [node("Flatten", ["x"], ["f"]), node("Gemm", ["f", "fc.weight", "fc.bias"], ["y"], **attributes)]
    shape = (5, 784) if attributes.get("transB") else (784, 5)
    return onnx_model(nodes, [onnx_files.array("fc.weight", *shape), onnx_files.array("fc.bias", 5)])


def matmul() -> Model:
    node = helper.make_node
    nodes = [
        node("Flatten", ["x"], ["f"]),
        node("MatMul", ["f", "fc.weight"], ["m"]),
        node("Add", ["m", "fc.bias"], ["s"]),
        node("Sigmoid", ["s"], ["y"]),
    ]
    return onnx_model(nodes, [onnx_files.array("fc.weight", 784, 5), onnx_files.array("fc.bias", 5)])


def mean_over_positions() -> Model:
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "c.weight", "c.bias"], ["a"]),
        node("ReduceMean", ["a"], ["y"], axes=[2, 3], keepdims=0),
    ]
    return onnx_model(nodes, [onnx_files.array("c.weight", 5, 1, 3, 3), onnx_files.array("c.bias", 5)])


@pytest.mark.parametrize(
    "make", [lambda: gemm(transB=1), lambda: gemm(alpha=0.5), matmul, mean_over_positions]
)
def test_onnx_networks_with_fewer_outputs(make: Callable[[], Model], tmp_path: Path) -> None:
    model = make()
    taken = take_outputs(model, ORDER)
    x = np.random.default_rng(0).normal(size=(3, 1, 28, 28)).astype(np.float32)
    assert np.abs(run(taken, x) - run(model, x)[:, list(ORDER)]).max() < 1e-5
    write_onnx(taken, tmp_path / "taken.onnx")
    session = onnx_files.read(tmp_path / "taken.onnx")
    assert session.output_shape == (3,)


def test_outputs_named_with_an_empty_text_are_left_out(tmp_path: Path) -> None:
    model = gemm().with_card(Card(classes=("", "a", "b", "c", "d"), weights_digest="ab" * 32))
    used = without_unused(model)
    assert used.card.classes == ("a", "b", "c", "d")
    assert used.card.weights_digest == ""
    assert used.layers[-1].tensors[0].shape == (784, 4)
    assert without_unused(used) is used
    assert without_unused(gemm()).classes == 5
    assert used.tensors.read("fc/weight").shape == (784, 4)


def two_softmaxes() -> Model:
    """The average of two softmaxes."""
    node = helper.make_node
    nodes = [
        node("Flatten", ["x"], ["f"]),
        node("Gemm", ["f", "a.weight"], ["a"]),
        node("Gemm", ["f", "b.weight"], ["b"]),
        node("Softmax", ["a"], ["pa"]),
        node("Softmax", ["b"], ["pb"]),
        node("Mean", ["pa", "pb"], ["y"]),
    ]
    return onnx_model(nodes, [onnx_files.array("a.weight", 784, 5), onnx_files.array("b.weight", 784, 5)])


def test_softmaxes_that_are_averaged_can_be_reordered_but_not_dropped() -> None:
    model = two_softmaxes()
    x = np.random.default_rng(0).normal(size=(3, 1, 28, 28)).astype(np.float32)
    order = [3, 0, 1, 2, 4]
    assert np.abs(run(take_outputs(model, order), x) - run(model, x)[:, order]).max() < 1e-6
    with pytest.raises(UnsupportedError, match="another operation follows the softmax"):
        take_outputs(model, ORDER)


def test_outputs_that_are_used_again_are_refused() -> None:
    node = helper.make_node
    nodes = [
        node("Flatten", ["x"], ["f"]),
        node("Gemm", ["f", "a.weight"], ["a"]),
        node("Gemm", ["a", "b.weight"], ["b"]),
        node("Add", ["a", "b"], ["y"]),
    ]
    model = onnx_model(nodes, [onnx_files.array("a.weight", 784, 5), onnx_files.array("b.weight", 5, 5)])
    with pytest.raises(UnsupportedError, match=r"made\.onnx: .* a is used for something else"):
        take_outputs(model, ORDER)


def test_outputs_that_no_tensor_makes_are_refused() -> None:
    node = helper.make_node
    model = onnx_model(
        [
            node("Flatten", ["x"], ["f"]),
            node("Gemm", ["f", "w.weight"], ["g"]),
            node("TopK", ["g", "k"], ["y", "i"]),
        ],
        [onnx_files.array("w.weight", 784, 9), onnx_files.whole("k", 5)],
    )
    with pytest.raises(UnsupportedError, match="they are made by TopK"):
        take_outputs(model, ORDER)


@pytest.mark.parametrize("order", [(), (0, 0), (5,), (-1,)])
def test_an_order_that_is_none_is_refused(order: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="from 0 to 4"):
        take_outputs(gemm(), order)


def test_the_tensors_of_a_layer_without_build_settings_stay_as_they_are(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays: dict[str, dict[str, Any]] = {
        "conv": {"kernel": random.normal(size=(3, 3, 1, 2)), "bias": np.zeros(2)},
        "dense": {"kernel": random.normal(size=(8, 3)), "bias": np.zeros(3)},
    }
    config = sequential(INPUT, CONV, layer("Flatten", "flat"), DENSE)
    model = read_h5(write_legacy(tmp_path / "a.h5", config, arrays))
    taken = take_outputs(model, (2, 0))
    assert taken.description["config"]["layers"][-1]["config"]["units"] == 2
    assert model.description["config"]["layers"][-1]["config"]["units"] == 3
    assert np.array_equal(taken.tensors.read("dense/kernel"), model.tensors.read("dense/kernel")[:, [2, 0]])
    assert take_outputs(model, (0, 1, 2)) is model
    unnamed = take_outputs(replace(model, card=Card()), (1,))
    assert unnamed.card.classes == ()
