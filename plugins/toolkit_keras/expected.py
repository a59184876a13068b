"""What a parsed network expects of a file: which tensors, of which shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolkit.errors import UnreadableInputError, UnsupportedError
from toolkit.tensors import TensorRole, TensorSpec
from toolkit_keras.keras_network import KerasNetwork, LayerCall, Leaf, evaluate, leaves
from toolkit_keras.layer_config import DAMAGED, LayerConfig
from toolkit_keras.layer_kind import Inputs, MaybeShape, Weight
from toolkit_keras.registry import is_operation, kind_of
from toolkit_keras.safe_hdf5 import Stored

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


@dataclass(frozen=True, slots=True)
class Expected:
    """A layer and the tensors that it must have, as far as they are known.

    Attributes:
        weights: In Keras' order; None for a layer of an unknown kind, which has whatever the file says.
    """

    leaf: Leaf
    weights: tuple[Weight, ...] | None


@dataclass(frozen=True, slots=True)
class Shapes:
    """What is known of a network's shapes before any tensor is read.

    Attributes:
        expected: Every layer that is no model, in the file's order.
        input: Of the network's input, without the batch axis; -1 for a length that is not fixed.
        output: The same for its first output; empty where even its number of axes is not known.
    """

    expected: tuple[Expected, ...]
    input: tuple[int, ...]
    output: tuple[int, ...]


def infer_shapes(network: KerasNetwork) -> Shapes:
    """Run shapes through a network.

    Raises:
        UnreadableInputError: If they do not fit together.
        UnsupportedError: If it has more inputs than one, or none.
    """
    inputs: dict[str, Inputs] = {}

    def apply(call: LayerCall, shapes: Inputs) -> MaybeShape:
        inputs.setdefault(call.name, shapes)
        kind = kind_of(call.layer)
        if kind is None:
            return None
        counted = call.layer.kind != "InputLayer" and "constants" not in call.options
        if counted and kind.inputs is not None and len(shapes) != kind.inputs:
            raise UnreadableInputError(
                f"layer '{call.name}' is called on {len(shapes)} tensors, a {kind.name} takes {kind.inputs}",
                hint=DAMAGED,
            )
        if not shapes:
            raise UnreadableInputError(f"layer '{call.name}' is called on nothing", hint=DAMAGED)
        return kind.output_shape(LayerConfig(call.layer.values, call.name), shapes)

    start: tuple[MaybeShape, ...] = (None,) * len(network.inputs)
    output = evaluate(network, start, apply)[0]
    expected = []
    for leaf in leaves(network):
        kind = kind_of(leaf.layer)
        given = inputs.get(leaf.name)
        if is_operation(leaf.layer):
            expected.append(Expected(leaf, ()))
        elif kind is None or given is None:
            expected.append(Expected(leaf, None))
        else:
            refuse_quantised(leaf)
            expected.append(Expected(leaf, kind.weights(LayerConfig(leaf.layer.values, leaf.name), given)))
    return Shapes(tuple(expected), _known(_input_shape(network, inputs)), _known(output))


def refuse_quantised(leaf: Leaf) -> None:
    """Refuse a layer whose weights Keras has packed into small integers."""
    policy = leaf.layer.values.get("dtype")
    name = policy.get("config", {}).get("name") if isinstance(policy, dict) else policy
    packed = str(name).startswith(_PACKED)
    if packed or (isinstance(policy, dict) and "Quantized" in str(policy.get("class_name"))):
        raise UnsupportedError(
            f"layer '{leaf.name}' is quantised ({name or 'by Keras'})",
            hint="supported: float layers; use the original",
        )
    if leaf.layer.values.get("lora_rank"):
        raise UnsupportedError(
            f"layer '{leaf.name}' carries a LoRA adapter",
            hint="supported: layers whose adapter has been merged",
        )


def fits(weight: Weight, shape: tuple[int, ...]) -> bool:
    """Whether a tensor of this shape can be the weight that is expected."""
    if weight.shape is None:
        return True
    return len(weight.shape) == len(shape) and all(
        wanted is None or wanted == size for wanted, size in zip(weight.shape, shape, strict=True)
    )


def spec_of(name: str, role: TensorRole, found: Stored) -> TensorSpec:
    """The specification of a stored tensor."""
    dtype = np.dtype(np.float32) if found.bfloat16 else found.dtype.newbyteorder("<")
    return TensorSpec(name, found.shape, dtype, role)


def guessed_role(weight: str) -> TensorRole:
    """The role of a tensor in a layer of an unknown kind, from its name."""
    if any(state in weight for state in _GENERATOR_STATES):
        return TensorRole.GENERATOR_STATE
    return _ROLES.get(weight, TensorRole.OTHER)


def _input_shape(network: KerasNetwork, inputs: Mapping[str, Inputs]) -> MaybeShape:
    """What the first InputLayer declares that no layer feeds; a Sequential's may be in a nested model."""
    first = network.inputs[0].layer
    open_inputs = [
        leaf
        for leaf in leaves(network)
        if leaf.layer.kind == "InputLayer" and inputs.get(leaf.name, (None,)) == (None,)
    ]
    leaf = next((leaf for leaf in open_inputs if leaf.name == first), next(iter(open_inputs), None))
    kind = None if leaf is None else kind_of(leaf.layer)
    if leaf is None or kind is None:
        return None
    return kind.output_shape(LayerConfig(leaf.layer.values, leaf.name), (None,))


def _known(shape: MaybeShape) -> tuple[int, ...]:
    """-1 for a size that is not fixed."""
    return () if shape is None else tuple(-1 if size is None else size for size in shape)
