"""Windows that slide over images: sizes and paddings as Keras computes them."""

from __future__ import annotations

from collections.abc import Callable

from toolkit.records import dataclass
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import Inputs, MaybeShape, Shape, size_of


@dataclass(frozen=True)
class Window:
    """The window of a convolution or of pooling, each pair height first; padding is valid or same."""

    size: tuple[int, int]
    strides: tuple[int, int]
    dilation: tuple[int, int]
    padding: str

    def reach(self, axis: int) -> int:
        """How many pixels it spans."""
        return (self.size[axis] - 1) * self.dilation[axis] + 1


def channels_of(config: LayerConfig, inputs: Inputs) -> int | None:
    """The number of channels that come in, if it is known."""
    return size_of(inputs[0], config.channel_axis)


def image_shape(config: LayerConfig, channels: int | None, *sizes: int | None) -> Shape:
    """The shape of an image in the layer's data format."""
    return (channels, *sizes) if config.channel_axis == 0 else (*sizes, channels)


def image_sizes(config: LayerConfig, shape: MaybeShape) -> tuple[int | None, ...] | None:
    """Height and width of an image in the layer's data format; None if its shape is not known."""
    if shape is None:
        return None
    if len(shape) != 3:
        config.damaged(f"needs 4 axes, its input has {len(shape) + 1}")
    return shape[1:] if config.channel_axis == 0 else shape[:2]


def resized(
    config: LayerConfig, inputs: Inputs, channels: int | None, change: Callable[[int, int], int]
) -> MaybeShape:
    """The shape after ``change(axis, size)`` of height (axis 0) and width (axis 1)."""
    sizes = image_sizes(config, inputs[0])
    if sizes is None:
        return None
    changed = [None if size is None else change(axis, size) for axis, size in enumerate(sizes)]
    if any(size is not None and size < 1 for size in changed):
        config.damaged(f"leaves nothing of {sizes[0]}×{sizes[1]}")
    return image_shape(config, channels, *changed)


def after_window(config: LayerConfig, inputs: Inputs, window: Window, channels: int | None) -> MaybeShape:
    """The shape after a window has slid over an image."""

    def steps(axis: int, size: int) -> int:
        if window.padding == "same":
            return -(-size // window.strides[axis])
        reach = window.reach(axis)
        if size < reach:
            config.damaged(f"has a window of {reach} pixels, which does not fit into {size}")
        return (size - reach) // window.strides[axis] + 1

    return resized(config, inputs, channels, steps)


def padding_of(window: Window, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Pixels to add at the top, left, bottom and right; TensorFlow adds an odd one at the end."""
    if window.padding == "valid":
        return 0, 0, 0, 0
    missing = []
    for axis, size in enumerate(sizes):
        steps = -(-size // window.strides[axis])
        missing.append(max((steps - 1) * window.strides[axis] + window.reach(axis) - size, 0))
    return (*(pixels // 2 for pixels in missing), *(pixels - pixels // 2 for pixels in missing))
