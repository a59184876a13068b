"""Pixels as a model expects them."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.data import apply_convention
from toolkit.errors import UnsupportedError, UsageError
from toolkit.vocabulary import CHARACTER_SHAPES, Convention

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28)).astype(np.uint8)


@pytest.mark.parametrize("shape", CHARACTER_SHAPES)
def test_pixels_stand_in_the_shape_of_the_input(shape: tuple[int, ...]) -> None:
    pixels = apply_convention(IMAGES, Convention(), shape)
    assert pixels.shape == (5, *shape)
    assert pixels.dtype == np.float32
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels.reshape(5, 28, 28), IMAGES / np.float32(255))


def test_orientation_ink_and_scale() -> None:
    raw = IMAGES.astype(np.float64)
    cases = {
        Convention(scale="raw"): raw,
        Convention(orientation="transposed"): raw.transpose(0, 2, 1) / 255,
        Convention(ink="dark"): 1 - raw / 255,
        Convention(ink="dark", scale="raw", orientation="transposed"): 255 - raw.transpose(0, 2, 1),
        Convention(scale="standard", mean=0.1307, deviation=0.3081): (raw / 255 - 0.1307) / 0.3081,
        Convention(scale="standard", ink="dark", mean=0.5, deviation=0.5): (1 - raw / 255 - 0.5) / 0.5,
    }
    for convention, expected in cases.items():
        pixels = apply_convention(IMAGES, convention, (28, 28))
        np.testing.assert_allclose(pixels, expected, atol=2e-6, err_msg=str(convention))


def test_no_image_is_none_and_the_images_are_not_touched() -> None:
    assert apply_convention(IMAGES[:0], Convention(), (784,)).shape == (0, 784)
    frozen = IMAGES.copy()
    frozen.flags.writeable = False
    apply_convention(frozen, Convention(ink="dark"), (28, 28, 1))[:] = 0
    np.testing.assert_array_equal(frozen, IMAGES)


@pytest.mark.parametrize("shape", [(28, 28, 3), (32, 32, 1), (), (28,), (1, 784)])
def test_other_inputs_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UnsupportedError, match=r"\(28, 28, 1\).*received"):
        apply_convention(IMAGES, Convention(), shape)


def test_other_images_and_deviations_are_refused() -> None:
    with pytest.raises(UsageError, match=r"received .* of float64"):
        apply_convention(IMAGES / 255, Convention(), (28, 28))  # type: ignore[arg-type]
    for deviation in (0.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match="deviation above 0"):
            apply_convention(IMAGES, Convention(scale="standard", deviation=deviation), (28, 28))
