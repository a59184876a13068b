"""A network gives probabilities, whatever its file ends in, and refuses what it cannot read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from toolkit.engine import Network, Session, is_character_network, softmax
from toolkit.errors import UnreadableInputError, UnsupportedError, UsageError
from toolkit.graph.onnx_form import to_onnx
from toolkit.model import Card
from toolkit.tensors import OverlaidTensors
from toolkit.vocabulary import Convention


def linear(build, shape=(784,), *, card=None, end=None, classes=5):
    net = build(1, input_shape=shape)
    x = "image" if shape == (784,) else net.add("Flatten", "image")
    x = net.dense(x, "d", int(np.prod(shape)), classes)
    if end:
        x = net.add(end, x)
    return net.model(x, classes, card=card)


@pytest.mark.parametrize("shape", [(28, 28, 1), (1, 28, 28), (28, 28), (784,)])
def test_every_arrangement_of_a_glyph_gives_the_same_answer(build, images, shape):
    answers = Network.of(linear(build, shape)).probabilities(images)
    assert answers.shape == (90, 5)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, Network.of(linear(build)).probabilities(images), atol=1e-6)


def test_logits_become_probabilities(build, images):
    answers = Network.of(linear(build)).probabilities(images)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(
        answers, Network.of(linear(build, end="Softmax")).probabilities(images), atol=1e-6
    )


def test_the_card_says_how_pixels_are_wanted(build, images):
    convention = Convention("transposed", "raw", "dark")
    told = Network.of(linear(build)).probabilities(images, convention)
    known = Network.of(linear(build, card=Card(convention=convention))).probabilities(images)
    assert np.array_equal(told, known)
    assert not np.allclose(told, Network.of(linear(build)).probabilities(images))


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 600])
def test_batches_are_invisible(build, images, count):
    network = Network.of(linear(build))
    many = np.resize(images, (count, 28, 28))
    answers = network.probabilities(many)
    assert answers.shape == (count, 5)
    single = [network.probabilities(image[np.newaxis]) for image in many[:3]]
    for one, row in zip(single, answers, strict=False):
        np.testing.assert_allclose(one[0], row, atol=1e-6)


def test_run_gives_the_networks_own_outputs(build, images):
    model = linear(build)
    inputs = (images / np.float32(255)).reshape(-1, 784).astype(np.float32)
    expected = inputs @ model.tensors.read("d/kernel") + model.tensors.read("d/bias")
    np.testing.assert_allclose(Network.of(model).run(inputs), expected, atol=1e-5)


def test_run_names_the_shape_it_wants(build):
    with pytest.raises(UsageError, match="28×28, the network takes 784"):
        Network.of(linear(build)).run(np.zeros((2, 28, 28), np.float32))


def test_threads_may_share_a_network(build, images):
    network = Network.of(linear(build))
    expected = network.probabilities(images)
    with ThreadPoolExecutor(8) as pool:
        for answers in pool.map(lambda _: network.probabilities(images), range(32)):
            assert np.array_equal(answers, expected)


def test_memory_mapped_images_are_read_in_batches(build, images, tmp_path):
    np.save(tmp_path / "images.npy", np.resize(images, (700, 28, 28)))
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    network = Network.of(linear(build))
    np.testing.assert_array_equal(network.probabilities(mapped), network.probabilities(np.asarray(mapped)))


def test_a_photograph_network_is_refused_by_name(build, images):
    model = linear(build, (224, 224, 3), card=Card(name="flowers"))
    assert not is_character_network(model)
    with pytest.raises(UnsupportedError, match=r"flowers.*224×224×3.*28×28×1, 1×28×28, 28×28, 784"):
        Network.of(model).probabilities(images)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((2, 28, 28), np.float32), np.zeros((28, 28), np.uint8), np.zeros((2, 32, 32), np.uint8)],
)
def test_wrong_images_are_named(build, wrong):
    with pytest.raises(UsageError, match=r"expected images \(n, 28, 28\) of uint8"):
        Network.of(linear(build)).probabilities(wrong)


def test_a_network_whose_outputs_are_nan_says_so(build, images):
    model = linear(build)
    broken = OverlaidTensors(model.tensors, {"d/bias": np.full(5, np.nan, np.float32)})
    with pytest.raises(UnreadableInputError, match="90 of 90"):
        Network.of(model.with_tensors(broken)).probabilities(images)


def test_what_onnxruntime_refuses_is_our_error():
    with pytest.raises(UnsupportedError, match=r"letters\.onnx: onnxruntime"):
        Session(b"this is no graph", "letters.onnx")


def test_what_fails_while_running_is_our_error(build):
    network = linear(build)
    session = Session(to_onnx(network.build_graph(), network.tensors), "letters.onnx")
    with pytest.raises(UnsupportedError, match=r"letters\.onnx.*\[2, 9\]"):
        session.run({"image": np.zeros((2, 9), np.float32)})


def test_softmax_does_not_overflow():
    found = softmax(np.array([[1e4, 0, -1e4], [-1e38, -1e38, -1e38]], np.float32))
    np.testing.assert_allclose(found, [[1, 0, 0], [1 / 3] * 3], atol=1e-7)
