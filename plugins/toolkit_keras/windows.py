"""Windows that slide over images: sizes and paddings as Keras computes them."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import Inputs, MaybeShape, Shape, channel_axis, require_rank

Sizes = tuple[int | None, int | None]
"""Height and width; None for one that is not fixed."""


@dataclass(frozen=True, slots=True)
class Window:
    """The window of a convolution or of pooling, each pair height first.

    Attributes:
        padding: ``valid`` or ``same``.
    """

    size: tuple[int, int]
    strides: tuple[int, int]
    dilation: tuple[int, int]
    padding: str

    def reach(self, axis: int) -> int:
        """How many pixels it spans."""
        return (self.size[axis] - 1) * self.dilation[axis] + 1


def image_sizes(config: LayerConfig, shape: MaybeShape) -> Sizes | None:
    """Height and width of an image in the layer's data format; None if its shape is not known."""
    shape = require_rank(config, shape, 3)
    if shape is None:
        return None
    height, width = shape[1:] if channel_axis(config) == 0 else shape[:2]
    return height, width


def image_shape(config: LayerConfig, channels: int | None, sizes: Sizes) -> Shape:
    """The shape of an image in the layer's data format."""
    return (channels, *sizes) if channel_axis(config) == 0 else (*sizes, channels)


def after_window(config: LayerConfig, inputs: Inputs, window: Window, channels: int | None) -> MaybeShape:
    """The shape after a window slid over an image.

    Args:
        channels: How many come out.
    """
    sizes = image_sizes(config, inputs[0])
    if sizes is None:
        return None
    return image_shape(config, channels, (_steps(config, window, 0, sizes), _steps(config, window, 1, sizes)))


def _steps(config: LayerConfig, window: Window, axis: int, sizes: Sizes) -> int | None:
    size = sizes[axis]
    if size is None:
        return None
    if window.padding == "same":
        return -(-size // window.strides[axis])
    if size < window.reach(axis):
        config.damaged(f"has a window of {window.reach(axis)} pixels, which does not fit into {size}")
    return (size - window.reach(axis)) // window.strides[axis] + 1


def padding_of(window: Window, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Pixels to add at the top, left, bottom and right; TensorFlow adds an odd one at the end."""
    if window.padding == "valid":
        return 0, 0, 0, 0
    before, after = [], []
    for axis, size in enumerate(sizes):
        steps = -(-size // window.strides[axis])
        missing = max((steps - 1) * window.strides[axis] + window.reach(axis) - size, 0)
        before.append(missing // 2)
        after.append(missing - missing // 2)
    return (*before, *after)
