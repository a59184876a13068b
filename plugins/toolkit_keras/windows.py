"""Windows that slide over images: sizes and paddings as Keras computes them."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.errors import UnreadableInputError
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import Shape, channel_axis


@dataclass(frozen=True, slots=True)
class Window:
    """A convolution's or a pooling's window, each pair height first.

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


def output_size(window: Window, axis: int, size: int | None, layer: str) -> int | None:
    """How often the window fits, None where the size is not known.

    Raises:
        UnreadableInputError: If it does not fit at all.
    """
    if size is None:
        return None
    if window.padding == "same":
        return -(-size // window.strides[axis])
    if size < window.reach(axis):
        raise UnreadableInputError(
            f"layer '{layer}': a window of {window.reach(axis)} pixels does not fit into {size}",
            hint="the file's configuration is damaged",
        )
    return (size - window.reach(axis)) // window.strides[axis] + 1


def padding_of(window: Window, sizes: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Pixels to add before and after, each height first; TensorFlow puts the odd one behind.

    Args:
        sizes: Height and width of the image.
    """
    if window.padding == "valid":
        return (0, 0), (0, 0)
    before, after = [], []
    for axis, size in enumerate(sizes):
        steps = -(-size // window.strides[axis])
        missing = max((steps - 1) * window.strides[axis] + window.reach(axis) - size, 0)
        before.append(missing // 2)
        after.append(missing - missing // 2)
    return (before[0], before[1]), (after[0], after[1])


def with_spatial(config: LayerConfig, shape: Shape, window: Window, channels: int | None) -> Shape:
    """The shape after a window slid over an image.

    Args:
        shape: Three axes, the batch not counted.
        channels: How many come out.
    """
    first = channel_axis(config) == 0
    height, width = shape[1:] if first else shape[:2]
    sizes = (
        output_size(window, 0, height, config.layer),
        output_size(window, 1, width, config.layer),
    )
    return (channels, *sizes) if first else (*sizes, channels)
