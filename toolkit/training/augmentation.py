"""Images moved, turned and scaled a little, each in its own way; never mirrored."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from toolkit.training.plan import TrainingOptions

if TYPE_CHECKING:
    import tensorflow as tf


def augment(images: tf.Tensor, options: TrainingOptions, seed: tf.Tensor) -> tf.Tensor:
    """Move, turn and scale each image by amounts of its own, within the options' limits.

    Stateless: the same seed gives the same images, in whatever order batches are made. One
    bilinear resampling for the whole batch, inside the graph.

    Args:
        images: (b, h, w, 1) float32; what moves in from outside is 0.
        options: Their shift, rotation and scaling are used.
        seed: (2,) int32.

    Returns:
        (b, h, w, 1) float32.
    """
    import tensorflow as tf

    if not options.augments:
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
    """From output to input pixels, (b, 8): about the image's centre, so that nothing drifts."""
    import tensorflow as tf

    random = tf.random.stateless_uniform((shape[0], 5), seed, -1.0, 1.0)
    angle = random[:, 0] * math.radians(options.rotation)
    height = 1.0 + random[:, 1] * options.scaling
    width = 1.0 + random[:, 2] * options.scaling
    cosine, sine = tf.cos(angle), tf.sin(angle)
    rows: list[Any] = [(cosine * width, -sine * height), (sine * width, cosine * height)]
    centre_x = tf.cast(shape[2] - 1, tf.float32) / 2.0
    centre_y = tf.cast(shape[1] - 1, tf.float32) / 2.0
    moved = []
    for (from_x, from_y), centre, shift in zip(
        rows, (centre_x, centre_y), (random[:, 3], random[:, 4]), strict=True
    ):
        offset = centre - from_x * centre_x - from_y * centre_y + shift * options.shift
        moved += [from_x, from_y, offset]
    nothing = tf.zeros_like(angle)
    return tf.stack([*moved, nothing, nothing], axis=1)
