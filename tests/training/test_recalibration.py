"""Batch statistics after an epoch are those of images without augmentation."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from toolkit.declarations import BuildRequest
from toolkit.model import Card
from toolkit.training.batches import sample_images
from toolkit.training.keras_bridge import template_of
from toolkit.training.options import TrainingOptions
from toolkit.training.train_state import TrainState
from toolkit.vocabulary import Convention

pytestmark = pytest.mark.train


def _state(tiny: ModuleType, network: Any) -> TrainState:
    template = template_of(network, tiny.H5).with_card(Card(convention=Convention()))
    weights = np.ones(network.output_shape[-1], dtype=np.float32)
    return TrainState(network, template, options=TrainingOptions(), weights=weights, seed=0)


def test_the_statistics_are_those_of_all_images(tiny: ModuleType) -> None:
    network = tiny.build(BuildRequest(classes=4, seed=3))
    images = tiny.strokes(2500, 0).images
    _state(tiny, network).recalibrate(images)
    seen = np.asarray(network.get_layer("conv")(images[..., None] / np.float32(255)), dtype=np.float64)
    norm = network.get_layer("norm")
    assert norm.moving_mean.numpy() == pytest.approx(seen.mean(axis=(0, 1, 2)), rel=1e-4, abs=1e-6)
    assert norm.moving_variance.numpy() == pytest.approx(seen.var(axis=(0, 1, 2)), rel=1e-3)


def test_dropout_is_off_and_nothing_else_changes(tiny: ModuleType) -> None:
    network = tiny.build(BuildRequest(classes=4, seed=3))
    state = _state(tiny, network)
    before = {variable.path: variable.numpy() for variable in network.variables}
    state.recalibrate(tiny.strokes(64, 0).images)
    changed = {
        variable.path.rsplit("/", 1)[-1]
        for variable in network.variables
        if (variable.numpy() != before[variable.path]).any()
    }
    assert changed == {"moving_mean", "moving_variance"}
    assert network.get_layer("dropout").rate == 0.2
    assert network.get_layer("norm").momentum == 0.8


def test_dropout_before_a_normalisation_is_off(tiny: ModuleType) -> None:
    import keras
    from keras import layers

    image = keras.Input((28, 28), name="image")
    x = layers.Flatten(name="flatten")(image)
    x = layers.Dropout(0.5, seed=1, name="dropout")(x)
    network = keras.Model(image, layers.BatchNormalization(name="norm")(x))
    images = np.random.default_rng(0).integers(0, 256, (50, 28, 28)).astype(np.uint8)
    _state(tiny, network).recalibrate(images)
    values = (images / 255.0).reshape(50, -1)
    norm = network.get_layer("norm")
    assert norm.moving_variance.numpy() == pytest.approx(values.var(axis=0), rel=1e-3, abs=1e-5)


def test_frozen_and_nested_normalisations(tiny: ModuleType) -> None:
    import keras
    from keras import layers

    inner = keras.Sequential([keras.Input((784,)), layers.BatchNormalization(name="deep")], name="inner")
    frozen = layers.BatchNormalization(name="frozen", trainable=False)
    network = keras.Sequential([keras.Input((784,)), frozen, inner, layers.Dense(3, name="last")])
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28)).astype(np.uint8)
    _state(tiny, network).recalibrate(images)
    assert (frozen.moving_mean.numpy() == 0).all()
    values = (images / 255.0).reshape(40, -1) / np.sqrt(1 + frozen.epsilon)
    assert inner.get_layer("deep").moving_mean.numpy() == pytest.approx(values.mean(axis=0), rel=1e-4)


def test_without_images_nothing_changes(tiny: ModuleType) -> None:
    network = tiny.build(BuildRequest(classes=4))
    _state(tiny, network).recalibrate(np.zeros((0, 28, 28), dtype=np.uint8))
    assert (network.get_layer("norm").moving_mean.numpy() == 0).all()


def test_a_sample_is_the_same_every_time_and_never_more_than_there_is(tiny: ModuleType) -> None:
    dataset = tiny.strokes(100, 0)
    assert (sample_images(dataset, 30, 1) == sample_images(dataset, 30, 1)).all()
    assert (sample_images(dataset, 30, 1) != sample_images(dataset, 30, 2)).any()
    assert sample_images(dataset, 500, 1).shape == (100, 28, 28)
