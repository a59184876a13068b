"""Windows that slide over rows, images or volumes: sizes and paddings as Keras computes them."""

from __future__ import annotations

from collections.abc import Callable

from toolkit.records import dataclass
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import Inputs, MaybeShape, Shape, size_of


@dataclass(frozen=True)
class Window:
    """The window of a convolution or of pooling along each spatial axis.

    Padding is ``valid``, ``same``, or ``causal``: all of it before the first element.
    """

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str

    @property
    def dimensions(self) -> int:
        """Number of spatial axes."""
        return len(self.size)

    def reach(self, axis: int) -> int:
        """How many elements it spans."""
        return (self.size[axis] - 1) * self.dilation[axis] + 1


def channels_of(config: LayerConfig, inputs: Inputs) -> int | None:
    """The number of channels that come in, if it is known."""
    return size_of(inputs[0], config.channel_axis)


def image_shape(config: LayerConfig, channels: int | None, *sizes: int | None) -> Shape:
    """The shape of an image in the layer's data format."""
    return (channels, *sizes) if config.channel_axis == 0 else (*sizes, channels)


def image_sizes(config: LayerConfig, shape: MaybeShape, dimensions: int) -> tuple[int | None, ...] | None:
    """Sizes along the spatial axes in the layer's data format; None if the shape is not known."""
    if shape is None:
        return None
    if len(shape) != dimensions + 1:
        config.damaged(f"needs {dimensions + 2} axes, its input has {len(shape) + 1}")
    return shape[1:] if config.channel_axis == 0 else shape[:-1]


def resized(
    config: LayerConfig,
    inputs: Inputs,
    dimensions: int,
    channels: int | None,
    change: Callable[[int, int], int],
) -> MaybeShape:
    """The shape after ``change(axis, size)`` of the size along each spatial axis."""
    sizes = image_sizes(config, inputs[0], dimensions)
    if sizes is None:
        return None
    changed = [None if size is None else change(axis, size) for axis, size in enumerate(sizes)]
    if any(size is not None and size < 1 for size in changed):
        config.damaged(f"leaves nothing of {'×'.join(map(str, sizes))}")
    return image_shape(config, channels, *changed)


def after_window(config: LayerConfig, inputs: Inputs, window: Window, channels: int | None) -> MaybeShape:
    """The shape after a window has slid over an image."""

    def steps(axis: int, size: int) -> int:
        if window.padding != "valid":
            return -(-size // window.strides[axis])
        reach = window.reach(axis)
        if size < reach:
            config.damaged(f"has a window of {reach} pixels, which does not fit into {size}")
        return (size - reach) // window.strides[axis] + 1

    return resized(config, inputs, window.dimensions, channels, steps)


def padding_of(window: Window, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Elements to add before each axis, then after each; TensorFlow adds an odd one at the end."""
    if window.padding == "causal":
        return (*(window.reach(axis) - 1 for axis in range(len(sizes))), *(0 for _ in sizes))
    missing = [0 for _ in sizes]
    for axis, size in enumerate(sizes if window.padding == "same" else ()):
        steps = -(-size // window.strides[axis])
        missing[axis] = max((steps - 1) * window.strides[axis] + window.reach(axis) - size, 0)
    return (*(pixels // 2 for pixels in missing), *(pixels - pixels // 2 for pixels in missing))
