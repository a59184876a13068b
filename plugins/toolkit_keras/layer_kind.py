"""One kind of layer: its weights, its shapes, its operations."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from toolkit.records import dataclass
from toolkit.tensors import TensorRole
from toolkit_keras.layer_config import LayerConfig

if TYPE_CHECKING:
    from toolkit_keras.graph_builder import LayerBuilder, Value

Shape = tuple[int | None, ...]
"""Without the batch axis; None for a size that is not fixed."""

MaybeShape = Shape | None
"""None if not even the number of axes is known."""

Inputs = tuple[MaybeShape, ...]

GENERATOR = "seed_generator_state"
"""Name of a tensor that is the state of a random generator."""


@dataclass(frozen=True)
class Weight:
    """A tensor that a layer is expected to have.

    Attributes:
        trainable: Whether training changes it by gradients.
        aliases: Its names in other versions of Keras.
        place: Groups between the layer's own and its numbered tensors in a `.keras` file: ``cell``.
    """

    name: str
    shape: MaybeShape
    role: TensorRole
    trainable: bool = True
    aliases: tuple[str, ...] = ()
    place: str = ""


def bias_of(config: LayerConfig, size: int | None) -> tuple[Weight, ...]:
    """The bias, unless the layer is configured without one."""
    used = config.flag("use_bias", default=True)
    return (Weight("bias", (size,), TensorRole.BIAS),) if used else ()


@dataclass(frozen=True)
class LayerKind:
    """One kind of layer.

    Attributes:
        name: Its class in Keras.
        inputs: How many inputs it takes; None for one or more.
        constants: Whether an input may be a number: ``x / 255``.
    """

    name: str
    build: Callable[[LayerBuilder], Value]
    output_shape: Callable[[LayerConfig, Inputs], MaybeShape] = lambda _, inputs: (
        inputs[0] if inputs else None
    )
    weights: Callable[[LayerConfig, Inputs], tuple[Weight, ...]] = lambda *_: ()
    inputs: int | None = 1
    constants: bool = False


def numbered(weights: Iterable[Weight]) -> Iterator[tuple[tuple[str, ...], Weight]]:
    """Each weight with its place below the layer's group in a `.keras` file: ``cell``, ``vars``, ``0``."""
    counts: Counter[str] = Counter()
    for weight in weights:
        above = tuple(weight.place.split("/")) if weight.place else ()
        yield (*above, "vars", str(counts[weight.place])), weight
        counts[weight.place] += 1


def size_of(shape: MaybeShape, axis: int) -> int | None:
    """The size of an axis counted without the batch, if it is known."""
    if shape is None or not -len(shape) <= axis < len(shape):
        return None
    return shape[axis]


def snake_case(name: str) -> str:
    """``DepthwiseConv2D`` to ``depthwise_conv2d``, ``PReLU`` to ``p_re_lu``."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
