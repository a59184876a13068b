from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from toolkit.declarations import BuildRequest
from toolkit.errors import UnsupportedError
from toolkit.model import Card
from toolkit.training.keras_bridge import template_of
from toolkit.training.options import TrainingOptions
from toolkit.training.train_state import TrainState, prepare_pixels
from toolkit.vocabulary import Convention

pytestmark = pytest.mark.train


def _state(tiny: ModuleType, network: Any, weights: Any = None, **options: Any) -> TrainState:
    classes = tiny.CLASSES[: network.output_shape[-1]]
    card = Card(classes=classes, convention=Convention())
    return TrainState(
        network,
        template_of(network, tiny.H5).with_card(card),
        options=TrainingOptions(**options),
        weights=np.ones(len(classes), dtype=np.float32) if weights is None else weights,
        seed=3,
    )


@pytest.mark.parametrize(
    ("convention", "expected"),
    [
        ("upright/unit/light", lambda x: x),
        ("transposed/unit/light", lambda x: x.transpose(0, 2, 1)),
        ("upright/raw/dark", lambda x: 255 * (1 - x)),
        ("transposed/standard(0.1307,0.3081)/dark", lambda x: (1 - x.transpose(0, 2, 1) - 0.1307) / 0.3081),
    ],
)
@pytest.mark.parametrize("shape", [(28, 28, 1), (1, 28, 28), (28, 28), (784,)])
def test_the_network_gets_pixels_in_its_convention(
    tiny: ModuleType, convention: str, expected: Any, shape: tuple[int, ...]
) -> None:
    images = tiny.strokes(5, 0).images
    unit = images[..., None].astype(np.float32) / np.float32(255)
    seen = np.asarray(prepare_pixels(unit, Convention.parse(convention), shape))
    assert seen.shape == (5, *shape)
    assert seen.reshape(5, -1) == pytest.approx(expected(images / 255.0).reshape(5, -1), abs=1e-4)


@pytest.mark.parametrize("shape", [(28, 28, 3), (32, 32, 1), (None, None, 1)])
def test_a_network_for_other_images_is_refused(tiny: ModuleType, shape: tuple[int | None, ...]) -> None:
    import keras
    from keras import layers

    image = keras.Input(shape, name="image")
    network = keras.Model(image, layers.GlobalAveragePooling2D(name="mean")(image))
    with pytest.raises(UnsupportedError, match="28×28"):
        _state(tiny, network)


def test_an_evaluation_is_that_of_the_network_in_keras(tiny: ModuleType) -> None:
    dataset = tiny.strokes(1100, 4)
    state = _state(tiny, tiny.build(BuildRequest(classes=4, seed=1)))
    rows = np.asarray(state.network.predict(dataset.images[..., None] / 255.0, verbose=0))
    evaluation = state.evaluate(dataset)
    assert (evaluation.right == (rows.argmax(axis=1) == dataset.labels)).all()
    assert evaluation.log_loss == pytest.approx(
        -np.log(rows[np.arange(1100), dataset.labels]).mean(), rel=1e-4
    )


def test_a_restored_state_trains_exactly_as_before(tiny: ModuleType) -> None:
    dataset = tiny.strokes(32, 5)
    state = _state(tiny, tiny.build(BuildRequest(classes=4, seed=1)))
    state.train_step(dataset.images, dataset.labels, step=0, rate=0.01)
    before = state.state()
    state.train_step(dataset.images, dataset.labels, step=1, rate=0.01)
    expected = state.state()
    state.restore(before)
    state.train_step(dataset.images, dataset.labels, step=1, rate=0.01)
    again = state.state()
    assert all((again[name] == expected[name]).all() for name in expected)
    assert any((again[name] != before[name]).any() for name in expected)


def test_the_state_of_another_network_is_refused(tiny: ModuleType) -> None:
    state = _state(tiny, tiny.build(BuildRequest(classes=4)))
    other = _state(tiny, tiny.build(BuildRequest(classes=3)))
    with pytest.raises(UnsupportedError, match="another network"):
        state.restore(other.state())


def test_evaluating_changes_nothing(tiny: ModuleType) -> None:
    state = _state(tiny, tiny.build(BuildRequest(classes=4)))
    before = state.state()
    state.evaluate(tiny.strokes(30, 6))
    after = state.state()
    assert all((before[name] == after[name]).all() for name in before)


def test_class_weights_and_smoothing_are_in_the_loss(tiny: ModuleType) -> None:
    dataset = tiny.strokes(16, 5)
    network = tiny.build(BuildRequest(classes=4, seed=1))
    network.get_layer("dropout").rate = 0.0
    network.get_layer("norm").trainable = False
    weights = np.array([0.5, 1.0, 2.0, 4.0], dtype=np.float32)
    rows = np.asarray(network(dataset.images[..., None] / 255.0))
    state = _state(tiny, network, weights=weights, label_smoothing=0.2, shift=0.0, rotation=0.0, scaling=0.0)
    targets = 0.8 * np.eye(4)[dataset.labels] + 0.05
    expected = -(targets * np.log(rows)).sum(axis=1) * weights[dataset.labels]
    loss, correct = state.train_step(dataset.images, dataset.labels, step=0, rate=0.0)
    assert loss == pytest.approx(expected.mean(), rel=1e-4)
    assert correct == (rows.argmax(axis=1) == dataset.labels).sum()


def test_a_network_that_is_frozen_whole_is_refused(tiny: ModuleType) -> None:
    network = tiny.build(BuildRequest(classes=4))
    network.trainable = False
    dataset = tiny.strokes(4, 0)
    state = _state(tiny, network)
    with pytest.raises(UnsupportedError, match="every layer of tiny is frozen"):
        state.train_step(dataset.images, dataset.labels, step=0, rate=0.01)


def test_many_trainings_in_one_process_are_no_reason_for_a_warning(
    tiny: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = tiny.strokes(8, 0)
    for seed in range(7):
        state = _state(tiny, tiny.build(BuildRequest(classes=4, seed=seed)))
        state.train_step(dataset.images, dataset.labels, step=0, rate=0.01)
        state.evaluate(dataset)
    assert "retracing" not in caplog.text


@pytest.mark.parametrize("head", ["convolution", "sigmoid", "logits"])
def test_the_loss_is_that_of_the_networks_own_outputs(tiny: ModuleType, head: str) -> None:
    """Not that of a second softmax: a softmax before a Flatten, or one sigmoid for each class."""
    import keras
    from keras import layers

    image = keras.Input((28, 28, 1), name="image")
    if head == "convolution":
        outputs = layers.Conv2D(4, 28, activation="softmax", name="conv")(image)
        outputs = layers.Flatten(name="flat")(outputs)
    else:
        activation = None if head == "logits" else head
        outputs = layers.Dense(4, activation, name="dense")(layers.Flatten(name="flat")(image))
    network = keras.Model(image, outputs)
    dataset = tiny.strokes(16, 5)
    rows = np.asarray(network(dataset.images[..., None] / 255.0), np.float64)
    state = _state(tiny, network, label_smoothing=0.0, shift=0.0, rotation=0.0, scaling=0.0)
    loss, _ = state.train_step(dataset.images, dataset.labels, step=0, rate=0.0)
    if head == "logits":
        rows = np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)
    expected = -np.log(rows[np.arange(16), dataset.labels])
    if head == "sigmoid":
        others = np.log(1 - rows)
        others[np.arange(16), dataset.labels] = 0
        expected -= others.sum(axis=1)
    assert loss == pytest.approx(expected.mean(), rel=1e-4)
