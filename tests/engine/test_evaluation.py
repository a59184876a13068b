"""Evaluation counts what it says it counts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from toolkit.data import Dataset
from toolkit.engine import Network, evaluate
from toolkit.engine.evaluation import wilson_interval
from toolkit.errors import IncompatibleModelsError, UsageError
from toolkit.model import Card


def network(build, labels=(), classes=5):
    net = build(3, input_shape=(784,))
    return Network.of(
        net.model(net.dense("image", "d", 784, classes), classes, card=Card(name="n", classes=labels))
    )


def test_agrees_with_counting_by_hand(build, dataset):
    under_test = network(build)
    found = evaluate(under_test, dataset)
    probabilities = under_test.probabilities(dataset.images).astype(np.float64)
    answers = probabilities.argmax(axis=1)
    assert found.images == 90
    assert found.accuracy == np.mean(answers == dataset.labels)
    np.testing.assert_array_equal(found.right, answers == dataset.labels)
    assert found.low < found.accuracy < found.high
    assert found.log_loss == pytest.approx(-np.log(probabilities[np.arange(90), dataset.labels]).mean())
    for true in range(5):
        for answer in range(5):
            assert found.confusion[true, answer] == np.sum((dataset.labels == true) & (answers == answer))
    assert found.confusion.sum(axis=1).tolist() == [18] * 5
    np.testing.assert_array_equal(found.recall, found.confusion.diagonal() / 18)


def test_classes_are_matched_by_character_where_the_card_names_them(build, dataset):
    straight = evaluate(network(build, ("a", "b", "c", "d", "e")), dataset)
    order = np.array([3, 1, 4, 0, 2], np.int32)
    shuffled = Dataset(
        "shuffled",
        tuple(np.array(dataset.classes)[order]),
        dataset.images,
        np.argsort(order)[dataset.labels].astype(np.int32),
    )
    again = evaluate(network(build, ("a", "b", "c", "d", "e")), shuffled)
    assert again.accuracy == straight.accuracy
    np.testing.assert_array_equal(again.confusion, straight.confusion)


def test_a_network_may_know_more_classes_than_occur(build, dataset):
    found = evaluate(network(build, (" ", "a", "b", "c", "d", "e"), 6), dataset)
    assert found.confusion.shape == (6, 6)
    assert found.confusion.sum(axis=1).tolist() == [0, 18, 18, 18, 18, 18]
    assert np.isnan(found.recall[0])


def test_classes_that_the_network_cannot_know_are_named(build, dataset):
    with pytest.raises(IncompatibleModelsError, match=r"does not know 1 of the classes.*: e"):
        evaluate(network(build, ("a", "b", "c", "d"), 4), dataset)


def test_without_a_card_the_number_of_classes_must_fit(build, dataset):
    with pytest.raises(IncompatibleModelsError, match=r"4 outputs.*5 classes"):
        evaluate(network(build, (), 4), dataset)


def test_labels_outside_the_classes_are_refused(build, dataset):
    with pytest.raises(UsageError, match="outside"):
        evaluate(network(build), dataclasses.replace(dataset, labels=dataset.labels + 1))


def test_an_empty_data_set_is_refused(build, dataset):
    with pytest.raises(UsageError, match="has no images"):
        evaluate(network(build), dataset.take(np.zeros(0, np.int64)))


def test_a_memory_mapped_data_set_in_several_steps(build, dataset, tmp_path):
    np.save(tmp_path / "i.npy", np.resize(dataset.images, (2500, 28, 28)))
    labels = (np.arange(2500) % 5).astype(np.int32)
    mapped = Dataset("mapped", dataset.classes, np.load(tmp_path / "i.npy", mmap_mode="r"), labels)
    found = evaluate(network(build), mapped)
    assert found.confusion.sum() == found.images == 2500
    answers = network(build).probabilities(mapped.images).argmax(axis=1)
    np.testing.assert_array_equal(found.right, answers == labels)


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775328), (10, 10, 0.7224672, 1.0), (81, 263, 0.2552, 0.3662), (1, 1, 0.2065493, 1.0)],
)
def test_wilson_interval_of_the_textbook(right, total, low, high):
    """81 of 263 is the example of Newcombe 1998."""
    assert wilson_interval(right, total) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
