"""One kind of layer: its weights, its shapes, its operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toolkit.errors import UnsupportedError
from toolkit.tensors import TensorRole
from toolkit_keras.layer_config import LayerConfig

if TYPE_CHECKING:
    from toolkit_keras.graph_builder import LayerBuilder, Value

Shape = tuple[int | None, ...]
"""Without the batch axis; None for a size that is not fixed."""

MaybeShape = Shape | None
"""None if not even the number of axes is known."""

Inputs = tuple[MaybeShape, ...]


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor that a layer is expected to have.

    Attributes:
        name: Keras 3's.
        shape: As far as it is known.
        trainable: Whether training changes it by gradients.
        aliases: What other versions of Keras call it.
        spatial: Whether it is a convolution's kernel, which Theano rotates by half a turn.
    """

    name: str
    shape: MaybeShape
    role: TensorRole
    trainable: bool = True
    aliases: tuple[str, ...] = ()
    spatial: bool = False


def no_weights(_config: LayerConfig, _inputs: Inputs) -> tuple[Weight, ...]:
    """For layers without weights."""
    return ()


def same_shape(_config: LayerConfig, inputs: Inputs) -> MaybeShape:
    """For layers that work element by element."""
    return inputs[0] if inputs else None


@dataclass(frozen=True, slots=True)
class LayerKind:
    """One kind of layer that the toolkit supports.

    Attributes:
        name: Its class in Keras.
        build: Adds one call of it to a graph.
        output_shape: From its inputs' shapes.
        weights: Its tensors in Keras' own order.
        inputs: How many it takes; None for one or more.
    """

    name: str
    build: Callable[[LayerBuilder], Value]
    output_shape: Callable[[LayerConfig, Inputs], MaybeShape] = same_shape
    weights: Callable[[LayerConfig, Inputs], tuple[Weight, ...]] = no_weights
    inputs: int | None = field(default=1)


def size_of(shape: MaybeShape, axis: int) -> int | None:
    """The size of an axis counted without the batch, if it is known."""
    if shape is None or not -len(shape) <= axis < len(shape):
        return None
    return shape[axis]


def channel_axis(config: LayerConfig) -> int:
    """0 or -1: the channel axis of a layer over images, counted without the batch."""
    chosen = config.choice("data_format", "channels_last", ("channels_last", "channels_first"))
    return 0 if chosen == "channels_first" else -1


def own_axis(config: LayerConfig, axis: int, rank: int) -> int:
    """An axis of Keras, batch included and perhaps negative, as one counted without the batch.

    Raises:
        UnsupportedError: If it is the batch axis.
        UnreadableInputError: If the tensor has no such axis.
    """
    found = axis + rank + 1 if axis < 0 else axis
    if found == 0:
        raise UnsupportedError(
            f"layer '{config.layer}' works along the batch axis", hint="supported: other axes"
        )
    if not 0 < found <= rank:
        config.damaged(f"works along axis {axis} of a tensor with {rank + 1} axes")
    return found - 1


def require_rank(config: LayerConfig, shape: MaybeShape, rank: int) -> MaybeShape:
    """The shape, if it has as many axes as the layer needs (the batch not counted)."""
    if shape is not None and len(shape) != rank:
        config.damaged(f"needs {rank + 1} axes, its input has {len(shape) + 1}")
    return shape
