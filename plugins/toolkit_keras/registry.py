"""Every kind of layer that is known, by its class."""

from __future__ import annotations

from toolkit_keras import kinds_arithmetic, kinds_convolution, kinds_dense, kinds_pooling, kinds_shape
from toolkit_keras.keras_network import LayerNode
from toolkit_keras.layer_config import is_keras
from toolkit_keras.layer_kind import LayerKind

_KINDS = {
    kind.name: kind
    for module in (kinds_arithmetic, kinds_convolution, kinds_dense, kinds_pooling, kinds_shape)
    for kind in module.KINDS
}
_OPERATIONS = {kind.name: kind for kind in kinds_arithmetic.OPERATIONS}


def is_operation(layer: LayerNode) -> bool:
    """Whether it is a function called on tensors, ``x + y``, rather than a layer."""
    return layer.module.startswith(("keras.src.ops", "keras.ops", "keras.src.activations"))


def kind_of(layer: LayerNode) -> LayerKind | None:
    """What is known of a layer's kind, or None."""
    if is_operation(layer):
        return _OPERATIONS.get(layer.kind)
    return _KINDS.get(layer.kind) if is_keras(layer.module) else None


def supported_layers() -> tuple[str, ...]:
    """Names of the layers that a graph can be built of, sorted."""
    return tuple(sorted((*_KINDS, "Sequential", "Functional")))
