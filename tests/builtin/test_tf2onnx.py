"""The exporter through Keras and tf2onnx: the same promises, for layers that the direct one refuses."""

from __future__ import annotations

import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest

from toolkit.declarations import ExportRequest
from toolkit.errors import ConfigurationError, ProofError, UnsupportedError
from toolkit.model import Card
from toolkit.vocabulary import Convention
from toolkit_onnx.direct import export as export_directly
from toolkit_tf2onnx import ConvertOptions, conversion
from toolkit_tf2onnx.conversion import export

CARD = Card(name="five", classes=tuple("abcde"), convention=Convention())


@pytest.fixture(scope="module")
def keras():
    pytest.importorskip("tf2onnx")
    from toolkit.training.framework import load_tensorflow

    load_tensorflow()
    import keras

    return keras


@pytest.fixture(scope="module")
def network(keras):
    """Sequential, which tf2onnx's own ``from_keras`` fails on, with trained-looking statistics."""
    layers = keras.layers
    made = keras.Sequential(
        [
            keras.Input((28, 28, 1), name="pixels"),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flat"),
            layers.Dropout(0.5, name="drop"),
            layers.Dense(5, activation="softmax", name="head"),
        ],
        name="small",
    )
    rng = np.random.default_rng(0)
    norm = made.get_layer("norm")
    norm.set_weights([rng.uniform(0.5, 1.5, 4), *rng.normal(0, 0.3, (2, 4)), rng.uniform(0.5, 2, 4)])
    return made


@pytest.fixture(scope="module")
def model(network, tmp_path_factory):
    from toolkit_keras.read_keras import read_keras

    path = tmp_path_factory.mktemp("keras") / "small.keras"
    network.save(path)
    return read_keras(path).with_card(CARD)


def request(model, network, folder):
    real = np.random.default_rng(1).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    return ExportRequest(model, folder / "out.onnx", ConvertOptions(), real, lambda: network)


@pytest.mark.train
def test_verified_against_keras_and_the_graph(model, network, tmp_path):
    done = export(request(model, network, tmp_path))
    assert done.facts["compared_with"] == "Keras and the model's graph"
    session = onnxruntime.InferenceSession(done.path.read_bytes())
    (image,), (probabilities,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.shape) == ("image", ["batch", 28, 28, 1])
    assert (probabilities.name, probabilities.shape) == ("probabilities", ["batch", 5])
    assert json.loads(session.get_modelmeta().custom_metadata_map["labels"]) == list("abcde")
    inputs = np.random.default_rng(2).random((4, 28, 28, 1), dtype=np.float32)
    (found,) = session.run(None, {"image": inputs})
    np.testing.assert_allclose(found, np.asarray(network(inputs, training=False)), atol=1e-5)


@pytest.mark.train
def test_the_direct_file_is_smaller_and_says_the_same(model, network, tmp_path):
    through = export(request(model, network, tmp_path))
    (tmp_path / "direct").mkdir()
    direct = export_directly(ExportRequest(model, tmp_path / "direct" / "out.onnx"))
    assert direct.facts["nodes"] < through.facts["nodes"]
    assert "Transpose" not in [node.op_type for node in onnx.load(direct.path).graph.node]
    inputs = np.random.default_rng(3).random((4, 28, 28, 1), dtype=np.float32)
    answers = [
        onnxruntime.InferenceSession(path.read_bytes()).run(None, {"image": inputs})[0]
        for path in (through.path, direct.path)
    ]
    np.testing.assert_allclose(*answers, atol=1e-5)


@pytest.mark.train
def test_twice_gives_the_same_bytes_although_tf2onnx_does_not(model, network, tmp_path):
    (tmp_path / "again").mkdir()
    once = export(request(model, network, tmp_path))
    twice = export(request(model, network, tmp_path / "again"))
    assert once.path.read_bytes() == twice.path.read_bytes()


@pytest.mark.train
def test_a_layer_that_only_keras_supports_is_verified_against_keras(keras, model, tmp_path):
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Reshape((28, 28)),
            layers.LSTM(6, name="memory"),
            layers.Dense(5, name="logits"),
        ]
    )

    def unknown():
        raise UnsupportedError("layer 'memory': LSTM is not known")

    from dataclasses import replace

    asked = request(replace(model, describe_graph=unknown), network, tmp_path)
    done = export(asked)
    assert done.facts["compared_with"] == "Keras"
    assert done.facts["added"] == "softmax"


@pytest.mark.train
def test_an_operation_that_tf2onnx_leaves_as_it_is_is_named(keras, model, tmp_path, capfd):
    network = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(5, activation="gelu")]
    )
    with pytest.raises(UnsupportedError, match="tf2onnx does not support TensorFlow's Erfc"):
        export(request(model, network, tmp_path))
    assert "Erfc" not in capfd.readouterr().err


@pytest.mark.train
def test_a_conversion_with_other_outputs_is_not_written(keras, model, network, tmp_path, monkeypatch):
    right = conversion.finished

    def careless(graph, *args, **options):
        name = next(name for name, array in graph.constants.items() if array.shape == (784, 5))
        graph.constants[name] = graph.constants[name] * 1.01
        return right(graph, *args, **options)

    monkeypatch.setattr(conversion, "finished", careless)
    asked = request(model, network, tmp_path)
    with pytest.raises(ProofError, match="Keras"):
        export(asked)
    assert not asked.path.exists()


def of_dialect(dialect):
    from toolkit.model import Model
    from toolkit.tensors import ArrayTensors

    return Model(
        ArrayTensors({}), CARD, lambda: pytest.fail("no graph is needed"), (28, 28, 1), (5,), dialect
    )


def test_without_tf2onnx_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    monkeypatch.setattr(conversion, "find_spec", lambda name: None if name == "tf2onnx" else object())
    with pytest.raises(ConfigurationError, match="needs tf2onnx, not installed") as caught:
        export(request(of_dialect("keras"), None, tmp_path))
    assert "pip install 'modelops-toolkit[convert]'" in caught.value.hint


def test_a_network_of_another_dialect_is_refused(tmp_path):
    with pytest.raises(UnsupportedError, match="onnx network cannot be built in Keras"):
        export(request(of_dialect("onnx"), None, tmp_path))
