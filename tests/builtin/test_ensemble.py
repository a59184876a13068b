"""Several models as one network: what it predicts, for whatever input formats and classes they have."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import onnx
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from onnx_wiring import CARD, Wiring

import toolkit_ensemble.combining as combining
import toolkit_ensemble.export as exporting
from toolkit.engine import Network
from toolkit.errors import IncompatibleModelsError, ProofError, UnsupportedError, UsageError
from toolkit.model import Card
from toolkit.tensors import weights_digest
from toolkit.types import CHARACTER_SHAPES, Convention, ExportRequest
from toolkit_ensemble import EnsembleOptions
from toolkit_ensemble.combining import combined, entropies, most_confident
from toolkit_ensemble.export import export
from toolkit_onnx.reading import read

UPRIGHT = Convention()
IMAGES = np.random.default_rng(3).integers(0, 256, (9, 28, 28), dtype=np.uint8)


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch):
    """Times are stated, not compared with anything: a second for each test is saved."""
    monkeypatch.setattr(exporting, "seconds_per_run", lambda *_: (0.001,))


def named(model, name, **card):
    own = replace(CARD, convention=UPRIGHT, classes=model.card.classes, **card)
    return replace(model, card=replace(own, name=name), path=None)


def constant(name, *probabilities, end="Softmax"):
    """A network with the same answer for every image."""
    net = Wiring(0, (1, 28, 28))
    odds = np.asarray(probabilities, np.float32)
    bias = np.log(odds) if end == "Softmax" else np.log(odds / (1 - odds))
    kernel = net.tensor(np.zeros((784, len(odds)), np.float32))
    scores = net.add("Gemm", net.flat("x"), kernel, net.tensor(bias), shape=(len(odds),))
    scores = net.add(end, scores, shape=(len(odds),))
    classes = tuple("abcdefgh"[: len(odds)])
    return named(net.model(scores, softmax=False, card=Card(classes=classes)), name)


def linear(name, seed, shape, convention):
    """A random dense layer on pixels, for one layout and input format."""
    net = Wiring(seed, shape)
    x = "x" if len(shape) == 1 else net.flat("x")
    # Kernels of raw networks are small, as trained ones are, and scores moderate.
    scale = 3 / 255 if convention.scale == "raw" else 3.0
    kernel = net.tensor((net.rng.normal(0, 0.02, (784, 5)) * scale).astype(np.float32))
    scores = net.add("Gemm", x, kernel, net.tensor(np.zeros(5, np.float32)), shape=(5,))
    return named(net.model(scores), name).with_card(replace(CARD, name=name, convention=convention))


def request(folder, *models, **options):
    return ExportRequest(
        models[0], folder / "e.onnx", EnsembleOptions(**options), others=tuple(models[1:]), probe=IMAGES
    )


def predictions(path, images=IMAGES):
    return Network.of(read(path)).probabilities(images)


def test_the_mean_by_hand(tmp_path):
    first, second = constant("first", 0.5, 0.3, 0.2), constant("second", 0.1, 0.8, 0.1)
    assert_allclose(
        predictions(export(request(tmp_path, first, second)).path), [[0.3, 0.55, 0.15]] * 9, atol=1e-6
    )
    done = export(request(tmp_path, first, second, weights=(3, 1)))
    assert_allclose(predictions(done.path), [[0.4, 0.425, 0.175]] * 9, atol=1e-6)
    assert done.facts["weights"] == [0.75, 0.25]


def test_the_most_confident_by_hand(tmp_path):
    """Entropies of 1.030 and 0.639 nats."""
    first, second = constant("first", 0.5, 0.3, 0.2), constant("second", 0.1, 0.8, 0.1)
    assert_allclose(entropies(np.asarray([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]])), [1.0297, 0.6390], atol=1e-4)
    for models in itertools.permutations((first, second)):
        done = export(request(tmp_path, *models, combine="confident"))
        assert_allclose(predictions(done.path), [[0.1, 0.8, 0.1]] * 9, atol=1e-6)


def test_the_most_confident_model_is_chosen_for_each_image(tmp_path):
    """One network is sure of bright images, the other one of dark ones."""

    def sure_of(name, place, slope, bias):
        net = Wiring(0, (784,))
        kernel = np.zeros((784, 2), np.float32)
        kernel[:, place] = slope / 784
        shift = np.zeros(2, np.float32)
        shift[place] = bias
        scores = net.add("Gemm", "x", net.tensor(kernel), net.tensor(shift), shape=(2,))
        return named(net.model(scores, card=Card(classes=("a", "b"))), name)

    bright, dark = sure_of("bright", 0, 6.0, 0.0), sure_of("dark", 1, -6.0, 6.0)
    done = export(request(tmp_path, bright, dark, combine="confident"))
    images = np.stack([np.full((28, 28), level, np.uint8) for level in (0, 51, 204, 255)])
    found = predictions(done.path, images)
    sigmoid = 1 / (1 + np.exp(-np.asarray([6.0, 4.8, 4.8, 6.0])))
    assert_allclose(found[[0, 1, 2, 3], [1, 1, 0, 0]], sigmoid, atol=1e-5)


def test_the_first_named_of_equally_confident_models_decides(tmp_path):
    first, second = constant("first", 0.7, 0.2, 0.1), constant("second", 0.1, 0.2, 0.7)
    for models, expected in (((first, second), [0.7, 0.2, 0.1]), ((second, first), [0.1, 0.2, 0.7])):
        done = export(request(tmp_path, *models, combine="confident"))
        assert_allclose(predictions(done.path), [expected] * 9, atol=1e-6)
    assert_array_equal(most_confident(np.asarray([[[0.7, 0.3]], [[0.3, 0.7]]])), [0])


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_a_certain_network_has_no_entropy(probability):
    assert entropies(np.asarray([probability, 1 - probability])) == 0


@pytest.mark.parametrize("combine", ["mean", "confident"])
def test_one_model_predicts_what_it_predicts_alone(tmp_path, combine):
    alone = linear("alone", 1, (28, 28, 1), Convention("transposed", "raw", "dark"))
    done = export(request(tmp_path, alone, combine=combine))
    assert_allclose(predictions(done.path), Network.of(alone).probabilities(IMAGES), atol=1e-5)


CONVENTIONS = [
    Convention(),
    Convention("transposed", "unit", "dark"),
    Convention("transposed", "raw", "light"),
    Convention("upright", "standard", "dark", 0.1307, 0.3081),
]


@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize("combine", ["mean", "confident"])
def test_layouts_and_input_formats_may_differ(tmp_path, combine, first):
    """Of the shapes 28×28×1, 1×28×28, 28×28 and 784, each with another format."""
    pairs = list(zip(CHARACTER_SHAPES, CONVENTIONS[first:] + CONVENTIONS[:first], strict=True))
    models = [linear(f"{n}.onnx", n, *pair) for n, pair in enumerate(pairs)]
    models = models[first:] + models[:first]
    done = export(request(tmp_path, *models, combine=combine))
    expected = np.stack([Network.of(model).probabilities(IMAGES) for model in models]).astype(np.float64)
    if combine == "mean":
        wanted = expected.mean(axis=0)
    else:
        wanted = expected[entropies(expected).argmin(axis=0), np.arange(len(IMAGES))]
    assert_allclose(predictions(done.path), wanted, atol=1e-5)
    again = read(done.path)
    assert (again.input_shape, again.card.convention) == (models[0].input_shape, Convention())


def test_classes_are_brought_into_the_order_of_the_first(tmp_path):
    first = constant("first", 0.5, 0.3, 0.2)
    second = constant("second", 0.1, 0.8, 0.1)
    second = second.with_card(replace(second.card, classes=("b", "c", "a")))
    done = export(request(tmp_path, first, second))
    assert_allclose(predictions(done.path), [[0.3, 0.2, 0.5]] * 9, atol=1e-6)
    assert read(done.path).card.classes == ("a", "b", "c")


def test_models_of_other_classes_are_refused(tmp_path):
    first, fewer = constant("first", 0.5, 0.3, 0.2), constant("fewer", 0.5, 0.5)
    with pytest.raises(IncompatibleModelsError, match="fewer has 2 classes, first has 3"):
        export(request(tmp_path, first, fewer))
    others = first.with_card(replace(first.card, classes=("a", "b", "z"), name="others"))
    with pytest.raises(IncompatibleModelsError, match="others does not have c: its classes are not those"):
        export(request(tmp_path, first, others))
    twice = first.with_card(replace(first.card, classes=("a", "b", "a"), name="twice"))
    with pytest.raises(IncompatibleModelsError, match="twice does not have c"):
        export(request(tmp_path, first, twice))
    more = constant("more", 0.1, 0.2, 0.3, 0.4)
    more = more.with_card(replace(more.card, classes=("a", "b", "c", "a")))
    pair = constant("pair", 0.1, 0.2, 0.3, 0.4)
    pair = pair.with_card(replace(pair.card, classes=("a", "b", "a", "c")))
    with pytest.raises(IncompatibleModelsError, match="has two classes of one name"):
        export(request(tmp_path, pair, more))


def test_without_a_card_the_order_of_the_classes_is_assumed_and_said(tmp_path):
    first, second = constant("first", 0.5, 0.3, 0.2), constant("second", 0.1, 0.8, 0.1)
    unknown = second.with_card(Card(name="second"))
    done = export(request(tmp_path, unknown, first))
    assert read(done.path).card.classes == ("a", "b", "c")
    assert "second has no card: its classes are assumed to be in the same order" in done.verified
    assert done.facts["conventions_assumed"] == done.facts["classes_assumed"] == ["second"]


def test_sigmoid_outputs_are_divided_by_their_sum_and_that_is_said(tmp_path):
    first = constant("first", 0.5, 0.3, 0.2)
    second = constant("second", 0.2, 0.6, 0.4, end="Sigmoid")
    done = export(request(tmp_path, first, second))
    assert_allclose(predictions(done.path), [[1 / 3, 0.4, 4 / 15]] * 9, atol=1e-6)
    assert "the sigmoid outputs of second are divided by their sum" in done.verified


def test_networks_that_do_not_read_characters_are_refused(tmp_path):
    net = Wiring(9, (3, 32, 32))
    photographs = net.model(net.dense(net.flat("x"), 5))
    with pytest.raises(UnsupportedError, match="3×32×32"):
        export(request(tmp_path, linear("a", 1, (784,), UPRIGHT), photographs))


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 0.0), (1.0, -1.0), (1.0, 1.0, 1.0)])
def test_weights_that_make_no_mean_are_refused(tmp_path, weights):
    first, second = constant("first", 0.5, 0.5), constant("second", 0.1, 0.9)
    with pytest.raises(UsageError, match="expected 2 weights above 0"):
        export(request(tmp_path, first, second, weights=weights))


def test_weights_are_of_no_use_to_the_most_confident(tmp_path):
    first, second = constant("first", 0.5, 0.5), constant("second", 0.1, 0.9)
    with pytest.raises(UsageError, match="weights are for combine=mean"):
        export(request(tmp_path, first, second, weights=(1, 1), combine="confident"))


def test_a_network_that_combines_wrongly_is_not_written(tmp_path, monkeypatch):
    first, second = constant("first", 0.5, 0.3, 0.2), constant("second", 0.1, 0.8, 0.1)
    monkeypatch.setattr(exporting, "combined", lambda outputs, _: combined(outputs, (0.6, 0.4)))
    with pytest.raises(ProofError, match="against its models"):
        export(request(tmp_path, first, second))
    monkeypatch.setattr(combining, "LEAD", 10.0)  # the first is chosen although the second is more certain
    monkeypatch.setattr(exporting, "combined", combined)
    monkeypatch.setattr(exporting, "most_confident", lambda found: entropies(found).argmin(axis=0))
    with pytest.raises(ProofError, match="against its models"):
        export(request(tmp_path, first, second, combine="confident"))
    assert not (tmp_path / "e.onnx").exists()


def test_the_card_names_the_models_with_digests_and_weights(tmp_path):
    first, second = linear("a.onnx", 1, (784,), UPRIGHT), linear("b.onnx", 2, (28, 28), CONVENTIONS[1])
    done = export(request(tmp_path, first, second, weights=(3, 1)))
    card = read(done.path).card
    assert card.made_by == "ensemble"
    assert [(parent.name, parent.weight) for parent in card.parents] == [("a.onnx", 0.75), ("b.onnx", 0.25)]
    assert [parent.digest for parent in card.parents] == [
        weights_digest(first.tensors),
        weights_digest(second.tensors),
    ]
    assert done.card is not None
    assert done.card.parents == card.parents
    assert card.verification["compared_with"] == done.card.verification["compared_with"] == "its models"
    assert done.card.verification["largest_probability_difference"] < 1e-5
    assert done.facts["milliseconds_batch_64"] > 0
    assert f"{len(done.path.read_bytes()) / 2**20:.2f} MiB" in done.verified


def test_names_are_those_of_the_models_and_the_same_bytes_every_time(tmp_path):
    first, second = linear("a b.onnx", 1, (784,), UPRIGHT), linear("a b.onnx", 2, (784,), UPRIGHT)
    asked = request(tmp_path, first, second)
    content = export(asked).path.read_bytes()
    names = {node.name.partition("/")[0] for node in onnx.load_from_string(content).graph.node}
    assert names == {"a_b", "a_b_2", "combine", "probabilities"}
    assert export(asked).path.read_bytes() == content


def test_an_ensemble_may_be_a_model_of_an_ensemble(tmp_path):
    first, second, third = (
        constant(name, *odds) for name, odds in zip("abc", [(0.9, 0.1), (0.5, 0.5), (0.3, 0.7)], strict=True)
    )
    inner = replace(read(export(request(tmp_path, first, second)).path), path=None)
    (tmp_path / "outer").mkdir()
    done = export(request(tmp_path / "outer", inner, third))
    assert_allclose(predictions(done.path), [[0.5, 0.5]] * 9, atol=1e-6)


def test_public_networks_of_two_orientations(shared, tmp_path):
    from toolkit_keras.read_h5 import read_h5

    khanhtran = read_h5(shared / "models" / "khanhtran2000-byclass.h5")
    msbrdmr = read_h5(shared / "models" / "msbrdmr-byclass.h5")
    khanhtran = khanhtran.with_card(Card(convention=UPRIGHT))
    msbrdmr = msbrdmr.with_card(Card(convention=Convention("transposed")))
    rows = np.loadtxt(
        shared / "data" / "emnist" / "emnist-byclass-test.csv", dtype=np.uint8, delimiter=",", max_rows=2000
    )
    images, labels = rows[:, 1:].reshape(-1, 28, 28).transpose(0, 2, 1), rows[:, 0]
    alone = [np.mean(Network.of(m).probabilities(images).argmax(1) == labels) for m in (khanhtran, msbrdmr)]
    for combine in ("mean", "confident"):
        done = export(request(tmp_path, khanhtran, msbrdmr, combine=combine))
        found = np.mean(predictions(done.path, images).argmax(axis=1) == labels)
        assert found > min(alone)
        assert found > max(alone) - 0.01
