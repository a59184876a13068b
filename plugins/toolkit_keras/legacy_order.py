"""The order of weights in an `.h5` file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from toolkit_keras.layer_kind import Weight


def legacy_order(layers: Iterable[tuple[bool, Sequence[Weight]]]) -> list[int]:
    """Positions of weights, counted in layer order, as Keras lists them in one group.

    Keras reads by order alone: what is trained first, then what is not, each in layer order. A
    frozen layer's weights are not trained.

    Args:
        layers: For each layer whether it is trained, and its weights.
    """
    trained: list[int] = []
    kept: list[int] = []
    position = 0
    for trainable, weights in layers:
        for weight in weights:
            (trained if trainable and weight.trainable else kept).append(position)
            position += 1
    return trained + kept
