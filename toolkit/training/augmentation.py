"""Random shifts, rotations and scalings of images, without flips."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from toolkit.training.options import TrainingOptions

if TYPE_CHECKING:
    import tensorflow as tf


def augment(images: tf.Tensor, options: TrainingOptions, seed: tf.Tensor) -> tf.Tensor:
    """Shift, rotate and scale each image, (b, h, w, 1) float32, by its own random amounts.

    The same seed, (2,) int32, gives the same images. New pixels at the border are 0.
    """
    import tensorflow as tf

    if not (options.shift or options.rotation or options.scaling):
        return images
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=_transforms(tf.shape(images), options, seed),
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def _transforms(shape: tf.Tensor, options: TrainingOptions, seed: tf.Tensor) -> tf.Tensor:
    """From output to input pixels, (b, 8), about the centre of the image."""
    import tensorflow as tf

    random = tf.random.stateless_uniform((shape[0], 5), seed, -1.0, 1.0)
    angle = random[:, 0] * math.radians(options.rotation)
    height = 1.0 + random[:, 1] * options.scaling
    width = 1.0 + random[:, 2] * options.scaling
    cosine, sine = tf.cos(angle), tf.sin(angle)
    rows: list[Any] = [(cosine * width, -sine * height), (sine * width, cosine * height)]
    centre_x = tf.cast(shape[2] - 1, tf.float32) / 2.0
    centre_y = tf.cast(shape[1] - 1, tf.float32) / 2.0
    coefficients = []
    for (from_x, from_y), centre, shift in zip(
        rows, (centre_x, centre_y), (random[:, 3], random[:, 4]), strict=True
    ):
        offset = centre - from_x * centre_x - from_y * centre_y + shift * options.shift
        coefficients += [from_x, from_y, offset]
    zero = tf.zeros_like(angle)
    return tf.stack([*coefficients, zero, zero], axis=1)
