"""What a configuration says of a file: its layers, their tensors, and the shapes between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from toolkit.errors import UnsupportedError
from toolkit.records import dataclass
from toolkit.tensors import TensorRole
from toolkit_keras import (
    kinds_arithmetic,
    kinds_convolution,
    kinds_dense,
    kinds_normalisation,
    kinds_operations,
    kinds_pooling,
    kinds_recurrent,
    kinds_shape,
    kinds_wrappers,
)
from toolkit_keras.configuration import parse_network
from toolkit_keras.file_errors import damaged_config
from toolkit_keras.keras_network import KerasNetwork, LayerCall, LayerNode, evaluate, leaves
from toolkit_keras.layer_config import is_keras
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape, Weight

_GROUPS = {
    "convolution": kinds_convolution.KINDS,
    "dense": kinds_dense.KINDS,
    "normalisation": kinds_normalisation.KINDS,
    "recurrent, and layers applied to each step": (*kinds_recurrent.KINDS, *kinds_wrappers.KINDS),
    "pooling, cropping, padding and resizing": kinds_pooling.KINDS,
    "arithmetic and activations": kinds_arithmetic.KINDS,
    "shape, augmentation, and what does nothing at inference": kinds_shape.KINDS,
}
_KINDS = {kind.name: kind for kinds in _GROUPS.values() for kind in kinds}
_OPERATIONS = {kind.name: kind for kind in kinds_operations.OPERATIONS}
SUPPORTED_LAYERS = tuple(sorted((*_KINDS, "Sequential", "Functional")))
LAYERS_BY_GROUP = {group: [kind.name for kind in kinds] for group, kinds in _GROUPS.items()} | {
    "models as layers": ["Sequential", "Functional"]
}
_ROLES = {
    "kernel": TensorRole.KERNEL,
    "bias": TensorRole.BIAS,
    "gamma": TensorRole.SCALE,
    "beta": TensorRole.SHIFT,
    "moving_mean": TensorRole.RUNNING_MEAN,
    "moving_variance": TensorRole.RUNNING_VARIANCE,
}
_PACKED = ("int8", "int4", "float8", "gptq", "awq")
_GENERATOR_STATES = ("seed_generator_state", "StateVar", "random_seed")


def is_operation(layer: LayerNode) -> bool:
    """Whether it is a function called on tensors, ``x + y``, rather than a layer."""
    return layer.module.startswith(("keras.src.ops", "keras.ops", "keras.src.activations"))


def kind_of(layer: LayerNode) -> LayerKind | None:
    """What is known of a layer's kind, or None."""
    if is_operation(layer):
        return _OPERATIONS.get(layer.kind)
    return _KINDS.get(layer.kind) if is_keras(layer.module) else None


@dataclass(frozen=True)
class Expected:
    """A layer and its tensors in Keras' order; None for a layer of an unknown kind."""

    node: LayerNode
    weights: tuple[Weight, ...] | None


@dataclass(frozen=True)
class KerasArchitecture:
    """What is known of a model before any tensor is read.

    Attributes:
        expected: Every layer that is not a model, in the file's order.
        input_shape: Without the batch axis; -1 for a length that is not fixed.
        output_shape: The same for the first output; empty if not even its number of axes is known.
    """

    description: Mapping[str, Any]
    network: KerasNetwork
    expected: tuple[Expected, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]


def architecture_of(description: Mapping[str, Any]) -> KerasArchitecture:
    """Parse a configuration and run shapes through its network."""
    network = parse_network(description)
    inputs: dict[str, Inputs] = {}

    def apply(layer: LayerNode, call: LayerCall, shapes: Inputs) -> MaybeShape:
        inputs.setdefault(layer.name, shapes)
        kind = kind_of(layer)
        if kind is None:
            return None
        if kind.constants:
            call, shapes = call.with_numbers(shapes, lambda _: ())
        counted = layer.kind != "InputLayer" and "constants" not in call.options
        if counted and kind.inputs is not None and len(shapes) != kind.inputs:
            raise damaged_config(
                f"layer '{layer.name}' is called on {len(shapes)} tensors, a {kind.name} takes {kind.inputs}"
            )
        if not shapes:
            raise damaged_config(f"layer '{layer.name}' is called on nothing")
        return kind.output_shape(layer.config, shapes)

    start: tuple[MaybeShape, ...] = (None,) * len(network.inputs)
    output = evaluate(network, start, apply)[0]
    expected = tuple(Expected(layer, _weights(layer, inputs.get(layer.name))) for layer in leaves(network))
    return KerasArchitecture(
        description, network, expected, _known(_input_shape(network, inputs)), _known(output)
    )


def _weights(layer: LayerNode, inputs: Inputs | None) -> tuple[Weight, ...] | None:
    if is_operation(layer):
        return ()
    kind = kind_of(layer)
    if kind is None or inputs is None:
        return None
    _refuse_packed(layer)
    return kind.weights(layer.config, inputs)


def _refuse_packed(layer: LayerNode) -> None:
    """Refuse a layer whose weights Keras has packed into small integers, or that has an adapter."""
    policy = layer.config.values.get("dtype")
    name = policy.get("config", {}).get("name") if isinstance(policy, dict) else policy
    packed = str(name).startswith(_PACKED)
    if packed or (isinstance(policy, dict) and "Quantized" in str(policy.get("class_name"))):
        raise UnsupportedError(
            f"layer '{layer.name}' is quantised ({name or 'by Keras'})",
            hint="supported: float layers; use the original",
        )
    if layer.config.values.get("lora_rank"):
        raise UnsupportedError(
            f"layer '{layer.name}' has a LoRA adapter", hint="supported: layers whose adapter has been merged"
        )


def fits(weight: Weight, shape: tuple[int, ...]) -> bool:
    """Whether a tensor of this shape can be the weight that is expected."""
    if weight.shape is None:
        return True
    return len(weight.shape) == len(shape) and all(
        wanted is None or wanted == size for wanted, size in zip(weight.shape, shape, strict=True)
    )


def legacy_order(layers: Iterable[Expected]) -> list[int]:
    """Positions of weights, counted in layer order, as an `.h5` file lists them in one group.

    Keras reads by order alone: what is trained first, then what is not, each in layer order. A
    frozen layer's weights are not trained.
    """
    trained = [
        layer.node.trainable and weight.trainable for layer in layers for weight in layer.weights or ()
    ]
    return sorted(range(len(trained)), key=lambda position: not trained[position])


def guessed_role(weight: str) -> TensorRole:
    """The role of a tensor in a layer of an unknown kind, from its name."""
    if any(state in weight for state in _GENERATOR_STATES):
        return TensorRole.GENERATOR_STATE
    return _ROLES.get(weight, TensorRole.OTHER)


def _input_shape(network: KerasNetwork, inputs: Mapping[str, Inputs]) -> MaybeShape:
    """What the first InputLayer declares that no layer feeds; a Sequential's may be in a nested model."""
    found = [
        layer
        for layer in leaves(network)
        if layer.kind == "InputLayer" and inputs.get(layer.name, (None,)) == (None,)
    ]
    found.sort(key=lambda layer: layer.name != network.inputs[0].layer)
    kind = kind_of(found[0]) if found else None
    return None if kind is None else kind.output_shape(found[0].config, (None,))


def _known(shape: MaybeShape) -> tuple[int, ...]:
    """-1 for a size that is not fixed."""
    return () if shape is None else tuple(-1 if size is None else size for size in shape)
