from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit.training.augmentation import augment
from toolkit.training.options import TrainingOptions

pytestmark = pytest.mark.train


def _augmented(images: NDArray[np.float32], seed: tuple[int, int] = (1, 2), **limits: Any) -> NDArray[Any]:
    import tensorflow as tf

    given = {"shift": 0.0, "rotation": 0.0, "scaling": 0.0, **limits}
    result = augment(tf.constant(images[..., None]), TrainingOptions(**given), tf.constant(seed))
    return np.asarray(result)[..., 0]


@pytest.fixture(scope="module")
def dots() -> NDArray[np.float32]:
    images = np.zeros((200, 28, 28), dtype=np.float32)
    images[:, 8:11, 16:19] = 1.0
    return images


def _centres(images: NDArray[Any]) -> NDArray[Any]:
    rows, columns = np.mgrid[:28, :28]
    mass = images.sum(axis=(1, 2))
    return np.stack([(images * rows).sum(axis=(1, 2)) / mass, (images * columns).sum(axis=(1, 2)) / mass], 1)


def test_nothing_asked_for_changes_nothing(dots: NDArray[np.float32]) -> None:
    assert (_augmented(dots) == dots).all()


def test_the_same_seed_gives_the_same_images(dots: NDArray[np.float32]) -> None:
    limits = {"shift": 2.0, "rotation": 10.0, "scaling": 0.1}
    first = _augmented(dots, **limits)
    assert (first == _augmented(dots, **limits)).all()
    assert (first != _augmented(dots, (1, 3), **limits)).any()
    assert (first[0] != first[1]).any()


def test_shifts_stay_within_their_limit_and_go_every_way(dots: NDArray[np.float32]) -> None:
    moved = _centres(_augmented(dots, shift=2.0)) - _centres(dots)
    assert np.abs(moved).max() <= 2.001
    assert np.abs(moved).max() > 1.8
    assert np.abs(moved.mean(axis=0)).max() < 0.3


def test_rotation_keeps_the_distance_from_the_centre(dots: NDArray[np.float32]) -> None:
    turned = _centres(_augmented(dots, rotation=15.0)) - 13.5
    before = _centres(dots)[0] - 13.5
    assert np.linalg.norm(turned, axis=1) == pytest.approx(np.linalg.norm(before), abs=0.15)
    angles = np.degrees(np.arctan2(*turned.T) - np.arctan2(*before))
    assert np.abs(angles).max() <= 15.5
    assert np.abs(angles).max() > 12


def test_scaling_stays_within_its_limit(dots: NDArray[np.float32]) -> None:
    before = _centres(dots)[0] - 13.5
    ratios = (_centres(_augmented(dots, scaling=0.2)) - 13.5) / before
    assert ratios.min() > 1 / 1.2 - 0.02
    assert ratios.max() < 1 / 0.8 + 0.02


def test_nothing_is_ever_mirrored(dots: NDArray[np.float32]) -> None:
    centres = _centres(_augmented(dots, shift=1.5, rotation=8.0, scaling=0.08)) - 13.5
    assert (centres[:, 0] < 0).all()
    assert (centres[:, 1] > 0).all()
