from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from toolkit.declarations import BuildRequest
from toolkit.errors import UnsupportedError
from toolkit.training import TrainingOptions
from toolkit.training.learner import Learner
from toolkit.vocabulary import Convention

pytestmark = pytest.mark.train


def _learner(network: Any, convention: Convention | None = None, **options: Any) -> Learner:
    return Learner(
        network,
        convention=convention or Convention(),
        options=TrainingOptions(**options),
        weights=np.ones(network.output_shape[-1], dtype=np.float32),
        seed=3,
    )


def _looker(shape: tuple[int, ...]) -> Any:
    """Outputs its input, so that a test sees what the network is given."""
    import keras
    from keras import layers

    image = keras.Input(shape, name="image")
    return keras.Model(image, layers.Flatten(name="flatten")(image))


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
def test_the_network_gets_its_pixels_as_it_wants_them(
    tiny: ModuleType, convention: str, expected: Any, shape: tuple[int, ...]
) -> None:
    images = tiny.strokes(5, 0).images
    learner = _learner(_looker(shape), Convention.parse(convention))
    seen = np.asarray(learner._probabilities(images))
    assert seen == pytest.approx(expected(images / 255.0).reshape(5, -1), abs=1e-4)


@pytest.mark.parametrize("shape", [(28, 28, 3), (32, 32, 1), (None, None, 1)])
def test_a_network_for_other_images_is_refused(shape: tuple[int | None, ...]) -> None:
    import keras
    from keras import layers

    image = keras.Input(shape, name="image")
    network = keras.Model(image, layers.GlobalAveragePooling2D(name="mean")(image))
    with pytest.raises(UnsupportedError, match=r"28, 28, 1"):
        _learner(network)


def test_scores_are_those_of_the_probabilities(tiny: ModuleType) -> None:
    dataset = tiny.strokes(1100, 4)
    learner = _learner(tiny.build(BuildRequest(classes=4, seed=1)))
    rows = np.asarray(learner.network.predict(dataset.images[..., None] / 255.0, verbose=0))
    scores = learner.evaluate(dataset)
    assert (scores.predicted == rows.argmax(axis=1)).all()
    assert scores.accuracy == np.mean(scores.predicted == dataset.labels)
    assert scores.loss == pytest.approx(-np.log(rows[np.arange(1100), dataset.labels]).mean(), rel=1e-4)


def test_a_restored_learner_goes_on_exactly_as_before(tiny: ModuleType) -> None:
    dataset = tiny.strokes(32, 5)
    learner = _learner(tiny.build(BuildRequest(classes=4, seed=1)))
    learner.learn(dataset.images, dataset.labels, step=0, rate=0.01)
    state = learner.state()
    learner.learn(dataset.images, dataset.labels, step=1, rate=0.01)
    expected = learner.state()
    learner.restore(state)
    learner.learn(dataset.images, dataset.labels, step=1, rate=0.01)
    again = learner.state()
    assert all((again[name] == expected[name]).all() for name in expected)
    assert any((again[name] != state[name]).any() for name in expected)


def test_the_state_of_another_network_is_refused(tiny: ModuleType) -> None:
    learner = _learner(tiny.build(BuildRequest(classes=4)))
    other = _learner(tiny.build(BuildRequest(classes=5)))
    with pytest.raises(UnsupportedError, match="another network"):
        learner.restore(other.state())


def test_evaluating_changes_nothing(tiny: ModuleType) -> None:
    learner = _learner(tiny.build(BuildRequest(classes=4)))
    before = learner.state()
    learner.evaluate(tiny.strokes(30, 6))
    after = learner.state()
    assert all((before[name] == after[name]).all() for name in before)


def test_class_weights_and_smoothing_are_in_the_loss(tiny: ModuleType) -> None:
    dataset = tiny.strokes(16, 5)
    network = tiny.build(BuildRequest(classes=4, seed=1))
    network.get_layer("dropout").rate = 0.0
    network.get_layer("norm").trainable = False
    weights = np.array([0.5, 1.0, 2.0, 4.0], dtype=np.float32)
    options = TrainingOptions(label_smoothing=0.2, shift=0.0, rotation=0.0, scaling=0.0)
    rows = np.asarray(network(dataset.images[..., None] / 255.0))
    learner = Learner(network, convention=Convention(), options=options, weights=weights, seed=0)
    targets = 0.8 * np.eye(4)[dataset.labels] + 0.05
    expected = -(targets * np.log(rows)).sum(axis=1) * weights[dataset.labels]
    result = learner.learn(dataset.images, dataset.labels, step=0, rate=0.0)
    assert result.loss == pytest.approx(expected.mean(), rel=1e-4)
    assert result.correct == (rows.argmax(axis=1) == dataset.labels).sum()


def test_a_network_that_is_frozen_whole_is_refused(tiny: ModuleType) -> None:
    network = tiny.build(BuildRequest(classes=4))
    network.trainable = False
    dataset = tiny.strokes(4, 0)
    learner = _learner(network)
    with pytest.raises(UnsupportedError, match="every layer of tiny is frozen"):
        learner.learn(dataset.images, dataset.labels, step=0, rate=0.01)


def test_many_trainings_in_one_process_are_no_reason_for_a_warning(
    tiny: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = tiny.strokes(8, 0)
    for seed in range(7):
        learner = _learner(tiny.build(BuildRequest(classes=4, seed=seed)))
        learner.learn(dataset.images, dataset.labels, step=0, rate=0.01)
        learner.evaluate(dataset)
    assert "retracing" not in caplog.text
