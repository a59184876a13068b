"""Properties of a Keras file's graph besides its outputs, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_networks import IMAGE, TOLERANCE, fill, residual, run, shared_layers, through_both_formats

from toolkit.errors import UnsupportedError
from toolkit.graph.head import head_of
from toolkit.graph.onnx_form import to_onnx
from toolkit.model import Model
from toolkit.model.correspondence import correspondence, differences, signature
from toolkit_keras.read_h5 import read_h5
from toolkit_keras.read_keras import read_keras

# --- promises of the graph -----------------------------------------------------------------


def test_flatten_before_dense_costs_no_transpose(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.save(tmp_path / "a.h5")
    graph = read_h5(tmp_path / "a.h5").build_graph()
    kinds = [node.operator for node in graph.nodes]
    assert kinds == [
        *("Reshape", "Conv", "Relu", "BatchNormalization", "MaxPool"),
        *("Flatten", "BatchNormalization", "Gemm", "Softmax"),
    ]
    assert head_of(graph).scores == "probabilities"
    (described,) = to_onnx(graph).graph.input
    assert [d.dim_param or d.dim_value for d in described.type.tensor_type.shape.dim] == ["batch", 28, 28, 1]


def test_channels_first_computes_what_channels_last_does(keras: Any, tmp_path: Path) -> None:
    """TensorFlow cannot run channels first on a CPU, so the same network is built both ways."""
    layers = keras.layers

    def build(data_format: str) -> Any:
        first = data_format == "channels_first"
        axis = 1 if first else -1
        return keras.Sequential(
            [
                keras.Input((3, 8, 7) if first else (8, 7, 3)),
                layers.Conv2D(4, 3, padding="same", data_format=data_format, name="conv"),
                layers.BatchNormalization(axis=axis, name="norm"),
                layers.MaxPooling2D(data_format=data_format, name="pool"),
                layers.DepthwiseConv2D(2, data_format=data_format, name="depthwise"),
                layers.ZeroPadding2D(1, data_format=data_format, name="pad"),
                layers.Flatten(data_format=data_format, name="flat"),
                layers.Dense(5, name="dense"),
            ]
        )

    last = build("channels_last")
    fill(last, 3)
    first = build("channels_first")
    first.set_weights(last.get_weights())
    first.save(tmp_path / "first.keras")
    x = np.random.default_rng(0).normal(size=(3, 8, 7, 3)).astype(np.float32)
    expected = np.asarray(last(x, training=False))
    model = read_keras(tmp_path / "first.keras")
    assert model.input_shape == (3, 8, 7)
    result = run(model, np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    assert np.abs(result - expected).max() < TOLERANCE
    assert "Transpose" not in [node.operator for node in model.build_graph().nodes][:-3]


def test_each_tensor_is_bound_once_and_names_are_the_same_every_time(keras: Any, tmp_path: Path) -> None:
    models = through_both_formats(shared_layers(keras), tmp_path)
    texts = []
    for model in models.values():
        graph = model.build_graph()
        bound = [binding.tensor for binding in graph.bindings]
        assert sorted(bound) == sorted(model.tensors.specs)
        assert len(set(bound)) == len(bound)
        texts.append(to_onnx(graph).SerializeToString(deterministic=True))
        assert to_onnx(model.build_graph()).SerializeToString(deterministic=True) == texts[-1]
    assert texts[0] == texts[1]


def test_building_the_graph_reads_no_tensor(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    residual(keras).save(tmp_path / "a.h5")
    model = read_h5(tmp_path / "a.h5")
    monkeypatch.setattr(type(model.tensors), "read", lambda *_: pytest.fail("a tensor was read"))
    model.build_graph()


def test_batch_normalisation_stays_a_node_of_its_own(keras: Any, tmp_path: Path) -> None:
    residual(keras).save(tmp_path / "a.h5")
    model = read_h5(tmp_path / "a.h5")
    (node,) = [n for n in model.build_graph().nodes if n.operator == "BatchNormalization"]
    norm = next(layer for layer in model.layers if layer.kind == "BatchNormalization")
    assert list(node.inputs)[1:] == [spec.name for spec in norm.tensors]


def test_mixed_precision_is_read_as_float32(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input(IMAGE), layers.Conv2D(4, 3, dtype="mixed_bfloat16"), layers.Flatten(), layers.Dense(3)]
    )
    for read in through_both_formats(model, tmp_path).values():
        assert {spec.dtype for spec in read.tensors.specs.values()} == {np.dtype(np.float32)}
        x = np.random.default_rng(0).normal(size=(2, *IMAGE)).astype(np.float32)
        assert np.abs(run(read, x) - np.asarray(model(x))).max() < 0.05


# --- refusals ------------------------------------------------------------------------------


def test_an_unknown_layer_is_readable_and_refused_by_name_only_as_a_graph(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(IMAGE),
            layers.Reshape((8, 21)),
            layers.EinsumDense("abc,cd->abd", output_shape=(8, 4), bias_axes="d", name="mixed"),
            layers.Flatten(),
            layers.Dense(3, name="head"),
        ]
    )
    for read in through_both_formats(model, tmp_path).values():
        assert read.output_shape == (3,)
        mixed = next(layer for layer in read.layers if layer.name == "mixed")
        assert len(mixed.tensors) == 2
        with pytest.raises(UnsupportedError, match=r"mixed \(EinsumDense\)") as caught:
            read.build_graph()
        assert "Conv1D/2D/3D, Conv1D/2D/3DTranspose" in caught.value.hint
        assert "GlobalAveragePooling1D/2D/3D" in caught.value.hint
        assert len(caught.value.hint) < 1000


def test_networks_with_an_unknown_layer_are_compared_and_tell_it_by_name(keras: Any, tmp_path: Path) -> None:
    def built(number: int, activation: str) -> Model:
        layers = keras.layers
        net = keras.Sequential(
            [
                keras.Input((8, 21)),
                layers.EinsumDense(
                    "abc,cd->abd",
                    output_shape=(8, 4),
                    bias_axes="d",
                    activation=activation,
                    name=f"mixed_{number}",
                ),
                layers.Dropout(0.2),
                layers.Dense(3, name=f"head_{number}"),
            ]
        )
        net.save(tmp_path / f"{number}.h5")
        return read_h5(tmp_path / f"{number}.h5")

    first, second, other = built(1, "tanh"), built(2, "tanh"), built(3, "relu")
    found = correspondence(first, second)
    assert found is not None
    layers = {ours.rpartition("/")[0]: theirs.rpartition("/")[0] for ours, theirs in found.items()}
    assert layers == {"mixed_1": "mixed_2", "head_1": "head_2"}
    assert found["mixed_1/bias"] == "mixed_2/bias"
    assert signature(first) == signature(second)
    assert correspondence(first, other) is None
    assert differences(first, other, "1.h5") == [
        'layer mixed_3 (EinsumDense) has activation "relu", 1.h5\'s mixed_1 has "tanh"'
    ]


REFUSED: dict[str, tuple[Callable[[Any], list[Any]], str]] = {
    "up-sampling": (lambda nn: [nn.UpSampling2D(2, interpolation="lanczos3")], "lanczos3"),
    "activation": (lambda nn: [nn.Conv2D(3, 2, activation="sparsemax")], "sparsemax"),
    "resizing": (lambda nn: [nn.Resizing(5, 5, antialias=True)], "antialias"),
    "random crop": (lambda nn: [nn.RandomCrop(5, 5)], "RandomCrop from 8×7 to 5×5"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_unsupported_option_is_named(keras: Any, name: str, tmp_path: Path) -> None:
    layers, word = REFUSED[name]
    keras.Sequential([keras.Input(IMAGE), *layers(keras.layers)]).save(tmp_path / "a.keras")
    model = read_keras(tmp_path / "a.keras")
    with pytest.raises(UnsupportedError, match=word):
        model.build_graph()


def test_dropout_in_training_mode_is_no_identity(keras: Any, tmp_path: Path) -> None:
    start = keras.Input(IMAGE)
    x = keras.layers.Dropout(0.5, name="drop")(start, training=True)
    keras.Model(start, keras.layers.Flatten()(x)).save(tmp_path / "a.keras")
    with pytest.raises(UnsupportedError, match=r"drop.*training=True"):
        read_keras(tmp_path / "a.keras").build_graph()


def test_an_input_without_fixed_size_is_refused(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((None, None, 1)), layers.Conv2D(3, 3), layers.GlobalAveragePooling2D()]
    )
    model.save(tmp_path / "a.h5")
    read = read_h5(tmp_path / "a.h5")
    assert read.input_shape == (-1, -1, 1)
    assert read.output_shape == (3,)
    with pytest.raises(UnsupportedError, match="no fixed size"):
        read.build_graph()
