"""An export has the source's own outputs, with a softmax only where they are logits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_wiring import CARD, Wiring, request

from toolkit.engine import Network
from toolkit.errors import ProofError
from toolkit_keras.read_h5 import read_h5
from toolkit_onnx import direct
from toolkit_onnx.direct import export
from toolkit_onnx.reading import read


def convolution_then_flatten(net: Wiring) -> str:
    x = net.conv("x", 5, kernel=28, pad=0)
    return net.flat(net.add("Softmax", x, axis=1))


def averaged_over_positions(net: Wiring) -> str:
    x = net.add("Softmax", net.conv("x", 5, stride=4), axis=1)
    return net.flat(net.add("GlobalAveragePool", x, shape=(5, 1, 1)))


def mean_of_two(net: Wiring) -> str:
    return net.add("Mean", *(net.add("Softmax", net.dense(net.flat("x"), 5), axis=1) for _ in "ab"))


def sigmoid(net: Wiring) -> str:
    return net.add("Sigmoid", net.dense(net.flat("x"), 5))


def answers(path, inputs):
    return onnxruntime.InferenceSession(path.read_bytes()).run(None, {"image": inputs})[0]


@pytest.mark.parametrize("end", [convolution_then_flatten, averaged_over_positions, mean_of_two, sigmoid])
def test_outputs_that_are_scores_already_are_exported_as_they_are(end, tmp_path):
    net = Wiring(1)
    model = net.model(end(net), softmax=False)
    inputs = np.random.default_rng(0).normal(0, 1, (7, 1, 28, 28)).astype(np.float32)
    done = export(request(model, tmp_path))
    np.testing.assert_allclose(answers(done.path, inputs), Network.of(model).run(inputs), atol=1e-6)
    assert done.facts["added"] == ""
    again = read(done.path)
    assert Network.of(again).scores == Network.of(model).scores == done.facts["scores"]


def test_a_sigmoid_head_is_said_and_normalised_only_on_request(tmp_path):
    net = Wiring(1)
    model = net.model(sigmoid(net), softmax=False)
    inputs = np.random.default_rng(0).normal(0, 1, (7, 1, 28, 28)).astype(np.float32)
    done = export(request(model, tmp_path))
    assert done.facts["scores"] == "sigmoid"
    assert "one sigmoid per class" in done.verified
    assert {entry.key: entry.value for entry in onnx.load(done.path).metadata_props}["scores"] == "sigmoid"
    assert not np.allclose(answers(done.path, inputs).sum(axis=1), 1)
    done.path.unlink()
    normalised = export(request(model, tmp_path, normalise=True))
    assert "divided by their sum" in normalised.verified
    raw = Network.of(model).run(inputs)
    np.testing.assert_allclose(
        answers(normalised.path, inputs), raw / raw.sum(axis=1, keepdims=True), atol=1e-6
    )
    assert Network.of(read(normalised.path)).scores == "probabilities"


def test_a_second_softmax_does_not_pass_the_proof(tmp_path, monkeypatch):
    """Even if the exporter and the reference agreed that the outputs are logits."""
    monkeypatch.setattr(direct, "added_to", lambda *_, **__: "softmax")
    net = Wiring(1)
    asked = request(net.model(convolution_then_flatten(net), softmax=False), tmp_path)
    with pytest.raises(ProofError, match="a softmax was added to what are probabilities already"):
        export(asked)
    assert not asked.path.exists()


@pytest.mark.parametrize("bias", [[0.0, 1.0, 0.0, 0.0, 0.0], [0.2, 0.2, 0.2, 0.2, 0.2]])
def test_constant_logits_that_sum_to_one_are_logits(bias, tmp_path):
    net = Wiring(1)
    kernel = net.tensor(np.zeros((784, 5), np.float32))
    model = net.model(net.add("Gemm", net.flat("x"), kernel, net.tensor(bias), shape=(5,)), softmax=False)
    assert export(request(model, tmp_path)).facts["added"] == "softmax"


def test_a_forgotten_softmax_does_not_pass_the_proof(tmp_path, monkeypatch):
    right = direct.exportable
    monkeypatch.setattr(
        direct,
        "exportable",
        lambda model, options, promised: right(model, options, replace(promised, added="")),
    )
    net = Wiring(1)
    with pytest.raises(ProofError, match="probabilities differ by"):
        export(request(net.model(net.dense(net.flat("x"), 5), softmax=False), tmp_path))


def keras_heads(keras: Any) -> dict[str, Any]:
    layers = keras.layers
    start = keras.Input((28, 28, 1))
    nested = keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(5, "softmax")])
    maps = layers.Conv2D(5, 3, strides=4, activation="softmax")
    two = [layers.Dense(5, "softmax")(layers.Flatten()(start)) for _ in "ab"]
    return {
        "convolution": layers.Flatten()(layers.Conv2D(5, 28, activation="softmax")(start)),
        "positions": layers.GlobalAveragePooling2D()(maps(start)),
        "two": layers.Average()(two),
        "sigmoid": layers.Dense(5, "sigmoid")(layers.Flatten()(start)),
        "hard sigmoid": layers.Dense(5, "hard_sigmoid")(layers.Flatten()(start)),
        "nested": nested(start),
        "start": start,
    }


@pytest.mark.train
def test_heads_of_keras_have_the_outputs_of_keras(keras: Any, tmp_path: Any) -> None:
    heads = keras_heads(keras)
    start = heads.pop("start")
    inputs = np.random.default_rng(0).random((5, 28, 28, 1), dtype=np.float32)
    for name, head in heads.items():
        network = keras.Model(start, head)
        network.save(tmp_path / f"{name}.h5")
        model = read_h5(tmp_path / f"{name}.h5").with_card(CARD)
        folder = tmp_path / name
        folder.mkdir()
        done = export(request(model, folder))
        expected = np.asarray(network(inputs, training=False))
        np.testing.assert_allclose(answers(done.path, inputs), expected, atol=1e-5)
        assert done.facts["scores"] == ("sigmoid" if "sigmoid" in name else "probabilities")
