"""The split by pixel hash."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import toolkit_emnist
from toolkit.data.splits import pixel_hash, validation_mask
from toolkit.declarations import LoadRequest
from toolkit.errors import UsageError


def glyphs(count: int, seed: int = 0) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, 28, 28)).astype(np.uint8)
    images[random.random(images.shape) < 0.7] = 0
    return images


def hash_in_plain_python(image: NDArray[np.uint8]) -> int:
    """The definition of the docstring, word by word."""
    mask = 2**64 - 1
    total, state = 0, 0
    for begin in range(0, 784, 8):
        word = int.from_bytes(image.tobytes()[begin : begin + 8], "little")
        state = (state + 0x9E3779B97F4A7C15) & mask
        factor = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & mask
        factor = ((factor ^ factor >> 27) * 0x94D049BB133111EB) & mask
        factor = (factor ^ factor >> 31) | 1
        total = (total + factor * (word ^ word >> 32)) & mask
    total = ((total ^ total >> 33) * 0xFF51AFD7ED558CCD) & mask
    total = ((total ^ total >> 33) * 0xC4CEB9FE1A85EC53) & mask
    return total ^ total >> 33


def test_the_hash_is_the_documented_one() -> None:
    images = glyphs(40)
    assert pixel_hash(images).tolist() == [hash_in_plain_python(image) for image in images]


def test_the_hash_never_changes() -> None:
    ramp = (np.arange(784) % 251).astype(np.uint8).reshape(1, 28, 28)
    blank = np.zeros((1, 28, 28), np.uint8)
    assert pixel_hash(ramp)[0] == 11803205191404115941
    assert pixel_hash(blank)[0] == 0


def test_one_in_ten_is_validation() -> None:
    assert abs(validation_mask(glyphs(20_000)).mean() - 0.1) < 0.008


def test_order_blocks_and_memory_layout_do_not_matter() -> None:
    images = glyphs(5_000)
    mask = validation_mask(images)
    order = np.random.default_rng(1).permutation(5_000)
    np.testing.assert_array_equal(validation_mask(images[order]), mask[order])
    np.testing.assert_array_equal(validation_mask(images[3_000:3_001]), mask[3_000:3_001])
    np.testing.assert_array_equal(validation_mask(np.asfortranarray(images)), mask)
    np.testing.assert_array_equal(validation_mask(images[::2]), mask[::2])


def test_one_grey_level_of_one_pixel_makes_another_hash() -> None:
    image = glyphs(1)
    changed = np.repeat(image, 784, axis=0)
    changed.reshape(784, 784)[np.arange(784), np.arange(784)] ^= 1
    assert len({*pixel_hash(changed).tolist(), *pixel_hash(image).tolist()}) == 785


def test_neighbours_are_spread_over_both_sides() -> None:
    changed = np.repeat(glyphs(1), 4_000, axis=0)
    changed.reshape(4_000, 784)[:, 400:402] = np.random.default_rng(0).integers(0, 256, (4_000, 2))
    assert 0.07 < validation_mask(changed).mean() < 0.13


def test_no_image_is_none() -> None:
    assert validation_mask(np.empty((0, 28, 28), np.uint8)).shape == (0,)


@pytest.mark.parametrize(
    "images", [np.zeros((2, 28, 28), np.float32), np.zeros((2, 28, 27), np.uint8), np.zeros(784, np.uint8)]
)
def test_other_arrays_are_refused(images: NDArray[np.uint8]) -> None:
    with pytest.raises(UsageError, match="expected images"):
        validation_mask(images)


def test_real_images_are_split_one_to_ten_in_every_class(shared: Path) -> None:
    (loader,) = toolkit_emnist.toolkit_dataset_loaders()
    source = next(source for source in loader.detect(shared / "data") if source.name == "byclass")
    dataset = loader.load(LoadRequest(source, "train"))
    mask = validation_mask(dataset.images)
    assert abs(mask.mean() - 0.1) < 0.004
    of_class = np.bincount(dataset.labels[mask], minlength=62) / np.bincount(dataset.labels, minlength=62)
    assert of_class.min() > 0.05
    assert of_class.max() < 0.16
