"""Batch normalisation goes into its neighbours and transpositions go away, where that changes no answer."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx_wiring import Wiring, emnist_like, kinds, request

from toolkit.engine import Network
from toolkit_onnx.direct import export
from toolkit_onnx.reading import read


def random_network(seed: int):
    """Blocks in any order: padded and not, grouped, pooled, added, concatenated, normalised anywhere."""
    net = Wiring(seed)
    rng = net.rng
    x = net.norm("x") if rng.random() < 0.3 else "x"
    for _ in range(int(rng.integers(2, 6))):
        kind = rng.choice(["conv", "valid", "depthwise", "up", "add", "concat", "pool", "average"])
        channels, height, _width = net.shapes[x]
        if kind == "conv":
            x = net.conv(x, int(rng.choice([4, 6, 8])), bias=bool(rng.random() < 0.5))
        elif kind == "valid" and height > 4:
            x = net.conv(x, 4, pad=0, group=2 if channels % 2 == 0 else 1)
        elif kind == "depthwise":
            x = net.conv(x, channels * 2, group=channels, pad=int(rng.integers(2)) if height > 4 else 1)
        elif kind == "up" and height < 15:
            x = net.transposed_conv(x, 4)
        elif kind == "add":
            x = net.add("Add", net.norm(net.conv(x, channels)), x)
        elif kind == "concat":
            left, right = net.norm(net.conv(x, 3, kernel=1, pad=0)), net.conv(x, 2)
            x = net.add("Concat", left, right, axis=1, shape=(5, *net.shapes[left][1:]))
        elif kind == "pool" and height > 4:
            x = net.pool(net.norm(x, positive=bool(rng.random() < 0.7)))
        elif kind == "average" and height > 4:
            x = net.pool(net.norm(x), "AveragePool")
        if rng.random() < 0.6:
            x = net.norm(x)
        if rng.random() < 0.7:
            x = net.add("Relu", x)
        if rng.random() < 0.5:
            x = net.norm(x, positive=bool(rng.random() < 0.5))
    if rng.random() < 0.3:
        x = net.add("GlobalAveragePool", x, shape=(net.shapes[x][0], 1, 1))
    x = net.flat(net.pool(x) if net.shapes[x][1] > 4 else x, reshape=bool(rng.random() < 0.5))
    for width in (16, 12):
        x = net.dense(x, width, kind=str(rng.choice(["Gemm", "MatMul", "turned"])))
        if rng.random() < 0.5:
            x = net.norm(x)
        x = net.add("Relu", x)
        if rng.random() < 0.5:
            x = net.norm(x)
    return net.model(
        net.dense(x, 5, kind=str(rng.choice(["Gemm", "MatMul", "turned"]))), softmax=bool(rng.random() < 0.7)
    )


@pytest.mark.parametrize("seed", range(40))
def test_folding_changes_no_answer(seed, tmp_path):
    model = random_network(seed)
    folded = export(request(model, tmp_path))
    normalisations = sum(layer.kind == "BatchNormalization" for layer in model.layers)
    facts = folded.facts
    assert facts["normalisations_folded"] + facts["normalisations_left"] == normalisations
    inputs = np.random.default_rng(seed).normal(0.3, 0.4, (7, 1, 28, 28)).astype(np.float32)
    (found,) = onnxruntime.InferenceSession(folded.path.read_bytes()).run(None, {"image": inputs})
    expected = Network.of(model).run(inputs)
    if Network.of(model).scores == "logits":
        expected = np.exp(expected - expected.max(axis=1, keepdims=True))
        expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_after_a_linear_layer_every_normalisation_is_folded(tmp_path):
    done = export(request(emnist_like(relu_first=False), tmp_path))
    assert (done.facts["normalisations_folded"], done.facts["normalisations_left"]) == (3, 0)
    conv, dense = ["Conv", "Relu", "MaxPool"], ["Flatten", "Gemm", "Relu", "Gemm", "Softmax"]
    assert kinds(done.path) == [*conv, *conv, *dense]
    assert done.facts["nodes"] == 11


def test_after_a_nonlinearity_it_moves_forward_if_that_is_exact(tmp_path):
    """Through pooling and flattening into a dense layer; not into a padded convolution."""
    done = export(request(emnist_like(relu_first=True), tmp_path))
    assert (done.facts["normalisations_folded"], done.facts["normalisations_left"]) == (2, 1)


def test_a_negative_scale_does_not_go_through_maximum_pooling(tmp_path):
    done = export(request(emnist_like(relu_first=True, positive=False), tmp_path))
    assert (done.facts["normalisations_folded"], done.facts["normalisations_left"]) == (1, 2)


def test_a_normalisation_that_is_seen_twice_stays(tmp_path):
    net = Wiring(4)
    x = net.conv("x", 4)
    x = net.add("Add", net.norm(x), x)
    done = export(request(net.model(net.dense(net.flat(x), 5)), tmp_path))
    assert done.facts["normalisations_left"] == 1


def test_weights_that_two_layers_share_are_folded_for_one_only(tmp_path):
    net = Wiring(5)
    kernel = net.tensor(net.rng.normal(0, 0.3, (4, 1, 3, 3)))
    left = net.norm(net.add("Conv", "x", kernel, shape=(4, 26, 26)))
    right = net.add("Conv", "x", kernel, shape=(4, 26, 26))
    done = export(request(net.model(net.dense(net.flat(net.add("Add", left, right)), 5)), tmp_path))
    assert done.facts["normalisations_folded"] == 1


def test_folding_can_be_switched_off(tmp_path):
    model = emnist_like(relu_first=False)
    done = export(request(model, tmp_path, keep_batch_norm=True))
    assert kinds(done.path).count("BatchNormalization") == 3
    assert "Dropout" not in kinds(done.path)
    again = read(done.path)
    roles = sorted(spec.role.name for spec in again.tensors.specs.values())
    assert roles == sorted(spec.role.name for spec in model.tensors.specs.values())


def test_a_grey_picture_is_never_transposed(tmp_path):
    net = Wiring(6, (28, 28, 1))
    x = net.add("Transpose", "x", perm=[0, 3, 1, 2], shape=(1, 28, 28))
    done = export(request(net.model(net.dense(net.flat(net.conv(x, 3, stride=2)), 5)), tmp_path))
    assert kinds(done.path)[:2] == ["Reshape", "Conv"]


@pytest.mark.parametrize("reshape", [False, True])
@pytest.mark.parametrize("kind", ["Gemm", "MatMul", "turned"])
def test_channels_last_needs_no_transposition_either(kind, reshape, tmp_path):
    """Dense layers on every pixel, activations and Flatten, as Keras and tf2onnx lay them."""
    net = Wiring(12)
    x = net.pool(net.conv("x", 4))
    x = net.add("Transpose", x, perm=[0, 2, 3, 1], shape=(14, 14, 4))
    for inputs, width in ((4, 6), (6, 3)):
        product = net.add(
            "MatMul", x, net.tensor(net.rng.normal(0, 0.5, (inputs, width))), shape=(14, 14, width)
        )
        x = net.add("LeakyRelu", net.add("Add", product, net.tensor(net.rng.normal(0, 1, width))), alpha=0.2)
    x = net.add("Transpose", x, perm=[0, 3, 1, 2], shape=(3, 14, 14))
    x = net.add("Transpose", net.pool(net.conv(x, 5)), perm=[0, 2, 3, 1], shape=(7, 7, 5))
    x = net.flat(net.add("Sigmoid", x), reshape=reshape)
    done = export(request(net.model(net.dense(x, 5, kind=kind)), tmp_path))
    found = kinds(done.path)
    assert "Transpose" not in found
    assert found.count("Conv") == 4
    assert done.facts["nodes"] == 12


def test_a_transposition_that_something_else_sees_stays(tmp_path):
    net = Wiring(13)
    x = net.add("Transpose", net.conv("x", 4), perm=[0, 2, 3, 1], shape=(28, 28, 4))
    both = net.add("Concat", net.flat(x), net.flat(net.add("Relu", x)), axis=1, shape=(6272,))
    done = export(request(net.model(net.dense(both, 5)), tmp_path))
    assert "Transpose" in kinds(done.path)
