"""What is known of one kind of layer: its weights, its shapes, its operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toolkit.errors import UnreadableInputError, UnsupportedError
from toolkit.tensors import TensorRole
from toolkit_keras.settings import Settings

if TYPE_CHECKING:
    from toolkit_keras.graph_builder import Emission, Value

Shape = tuple[int | None, ...]
"""Without the batch axis; None for a size that is not fixed."""

MaybeShape = Shape | None
"""None where not even the number of axes is known."""

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


def no_weights(_settings: Settings, _inputs: Inputs) -> tuple[Weight, ...]:
    """For layers without weights."""
    return ()


def no_attributes(_settings: Settings, _inputs: Inputs) -> Mapping[str, Any]:
    """For layers of which nothing matters at inference."""
    return {}


def same_shape(_settings: Settings, inputs: Inputs) -> MaybeShape:
    """For layers that work element by element."""
    return inputs[0] if inputs else None


@dataclass(frozen=True, slots=True)
class LayerKind:
    """One kind of layer that the toolkit knows.

    Attributes:
        name: Its class in Keras.
        emit: Adds its operations to a graph.
        output_shape: From its inputs' shapes.
        weights: Its tensors in Keras' own order.
        attributes: What changes its function at inference, as JSON values, defaults filled in.
        inputs: How many it takes; None for one or more.
        stateless: Whether arguments such as ``training`` leave it as it is.
    """

    name: str
    emit: Callable[[Emission], Value]
    output_shape: Callable[[Settings, Inputs], MaybeShape] = same_shape
    weights: Callable[[Settings, Inputs], tuple[Weight, ...]] = no_weights
    attributes: Callable[[Settings, Inputs], Mapping[str, Any]] = no_attributes
    inputs: int | None = field(default=1)


def size_of(shape: MaybeShape, axis: int) -> int | None:
    """The size of an axis counted without the batch, where it is known."""
    if shape is None or not -len(shape) <= axis < len(shape):
        return None
    return shape[axis]


def channel_axis(settings: Settings) -> int:
    """0 or -1: where a layer over images has its channels, counted without the batch."""
    chosen = settings.choice("data_format", "channels_last", ("channels_last", "channels_first"))
    return 0 if chosen == "channels_first" else -1


def own_axis(settings: Settings, axis: int, rank: int) -> int:
    """An axis of Keras, batch included and perhaps negative, as one counted without the batch.

    Raises:
        UnsupportedError: If it is the batch axis.
        UnreadableInputError: If the tensor has no such axis.
    """
    found = axis + rank + 1 if axis < 0 else axis
    if found == 0:
        raise UnsupportedError(
            f"layer '{settings.layer}' works along the batch axis", hint="supported: other axes"
        )
    if not 0 < found <= rank:
        raise UnreadableInputError(
            f"layer '{settings.layer}' works along axis {axis} of a tensor with {rank + 1} axes",
            hint="the file's configuration is damaged",
        )
    return found - 1


def require_rank(settings: Settings, shape: MaybeShape, rank: int) -> MaybeShape:
    """The shape, if it has as many axes as the layer needs (the batch not counted)."""
    if shape is not None and len(shape) != rank:
        raise UnreadableInputError(
            f"layer '{settings.layer}' needs {rank + 1} axes, its input has {len(shape) + 1}",
            hint="the file's configuration is damaged",
        )
    return shape
