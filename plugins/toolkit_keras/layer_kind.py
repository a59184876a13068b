"""One kind of layer: its weights, its shapes, its operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
        trainable: Whether training changes it by gradients.
        aliases: Its names in other versions of Keras.
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
    """One kind of layer: its class in Keras, and how many inputs it takes (None for one or more)."""

    name: str
    build: Callable[[LayerBuilder], Value]
    output_shape: Callable[[LayerConfig, Inputs], MaybeShape] = same_shape
    weights: Callable[[LayerConfig, Inputs], tuple[Weight, ...]] = no_weights
    inputs: int | None = 1


def size_of(shape: MaybeShape, axis: int) -> int | None:
    """The size of an axis counted without the batch, if it is known."""
    if shape is None or not -len(shape) <= axis < len(shape):
        return None
    return shape[axis]
