"""From a parsed network to a model: which tensors there must be, and how they are wired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from toolkit.errors import UnreadableInputError, UnsupportedError
from toolkit.graph import Layer, Topology
from toolkit.tensors import TensorRole, TensorSpec
from toolkit_keras.layer_kind import Inputs, MaybeShape, Weight
from toolkit_keras.network import Leaf, Network, Visit, evaluate, leaves
from toolkit_keras.registry import is_operation, kind_of
from toolkit_keras.settings import Settings

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
        weights: In Keras' order; None for a layer of an unknown kind, which has what it has.
    """

    leaf: Leaf
    weights: tuple[Weight, ...] | None


class Found(Protocol):
    """A tensor as it stands in a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """As the file declares it."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """As the file has it, byte order included."""

    @property
    def bfloat16(self) -> bool:
        """Whether its elements are the upper halves of float32."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a network's shapes say before any tensor is looked at.

    Attributes:
        expected: Every layer that is no model, in the file's order.
        inputs: Shapes that each layer is first called on, by path.
        output: Shape of the first output.
        sources: Paths of the layers that feed each layer's first call, by path.
        calls: Every further call: the same again.
    """

    expected: tuple[Expected, ...]
    inputs: Mapping[str, Inputs]
    output: MaybeShape
    sources: Mapping[str, tuple[str, ...]]
    calls: Mapping[str, tuple[tuple[str, ...], ...]]


@dataclass(frozen=True, slots=True)
class _Flow:
    """What flows through a network as it is looked at: a shape, and where it comes from."""

    shape: MaybeShape
    source: str
    call: int = 0


def wire(network: Network) -> Wiring:
    """Run shapes through a network.

    Raises:
        UnreadableInputError: If they do not fit together.
        UnsupportedError: If it has more inputs than one, or none.
    """
    inputs: dict[str, Inputs] = {}
    sources: dict[str, tuple[str, ...]] = {}
    calls: dict[str, list[tuple[str, ...]]] = {}

    def apply(visit: Visit, flows: tuple[_Flow, ...]) -> _Flow:
        shapes = tuple(flow.shape for flow in flows)
        fed = tuple(
            f"{flow.source}#{flow.call}" if flow.call else flow.source for flow in flows if flow.source
        )
        index = len(calls.get(visit.name, [])) + 1 if visit.name in inputs else 0
        if index:
            calls.setdefault(visit.name, []).append(fed)
        else:
            inputs[visit.name], sources[visit.name] = shapes, fed
        kind = kind_of(visit.layer)
        shape = None
        if kind is not None:
            settings = Settings(visit.layer.values, visit.name)
            counted = visit.layer.kind != "InputLayer" and "constants" not in visit.call.options
            if counted and kind.inputs is not None and len(flows) != kind.inputs:
                given = f"is called on {len(flows)} tensors, a {kind.name} takes {kind.inputs}"
                raise UnreadableInputError(
                    f"layer '{visit.name}' {given}",
                    hint="the file's configuration is damaged",
                )
            if not flows:
                raise UnreadableInputError(
                    f"layer '{visit.name}' is called on nothing", hint="the file's configuration is damaged"
                )
            shape = kind.output_shape(settings, shapes)
        return _Flow(shape, visit.name, index)

    start = tuple(_Flow(None, "") for _ in network.inputs)
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
            expected.append(Expected(leaf, kind.weights(Settings(leaf.layer.values, leaf.name), given)))
    return Wiring(
        tuple(expected), inputs, output.shape, sources, {name: tuple(more) for name, more in calls.items()}
    )


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


def fits(weight: Weight, found: Found) -> bool:
    """Whether a stored tensor can be the weight that is expected."""
    if weight.shape is None:
        return True
    return len(weight.shape) == len(found.shape) and all(
        wanted is None or wanted == size for wanted, size in zip(weight.shape, found.shape, strict=True)
    )


def spec_of(name: str, role: TensorRole, found: Found) -> TensorSpec:
    """The specification of a stored tensor."""
    dtype = np.dtype(np.float32) if found.bfloat16 else found.dtype.newbyteorder("<")
    return TensorSpec(name, found.shape, dtype, role)


def guessed_role(weight: str) -> TensorRole:
    """The role of a tensor in a layer of an unknown kind, from its name."""
    if any(state in weight for state in _GENERATOR_STATES):
        return TensorRole.GENERATOR_STATE
    return _ROLES.get(weight, TensorRole.OTHER)


def topology_of(
    network: Network,
    wiring: Wiring,
    description: Mapping[str, Any],
    specs: Mapping[str, tuple[TensorSpec, ...]],
) -> Topology:
    """The topology, each layer behind those that feed it.

    Args:
        specs: Every layer's tensors, by path.
    """
    layers = {
        expected.leaf.name: Layer(
            name=expected.leaf.name,
            kind=expected.leaf.layer.kind,
            attributes=_attributes(expected.leaf, wiring),
            inputs=tuple(source.partition("#")[0] for source in wiring.sources.get(expected.leaf.name, ())),
            tensors=specs.get(expected.leaf.name, ()),
        )
        for expected in wiring.expected
    }
    return Topology(
        dialect="keras",
        description=description,
        layers=_in_order(layers),
        input_shape=_known(_input_shape(network, wiring)),
        output_shape=_known(wiring.output),
    )


def _input_shape(network: Network, wiring: Wiring) -> MaybeShape:
    """What the first InputLayer that nothing feeds declares; a Sequential's may stand in a nested model."""
    first = network.inputs[0].layer
    open_inputs = [
        expected.leaf
        for expected in wiring.expected
        if expected.leaf.layer.kind == "InputLayer" and not wiring.sources.get(expected.leaf.name)
    ]
    leaf = next((leaf for leaf in open_inputs if leaf.name == first), next(iter(open_inputs), None))
    kind = None if leaf is None else kind_of(leaf.layer)
    if leaf is None or kind is None:
        return None
    return kind.output_shape(Settings(leaf.layer.values, leaf.name), wiring.inputs.get(leaf.name, (None,)))


def _attributes(leaf: Leaf, wiring: Wiring) -> Mapping[str, Any]:
    kind = kind_of(leaf.layer)
    given = wiring.inputs.get(leaf.name)
    found: dict[str, Any]
    if kind is None or given is None:
        found = {key: value for key, value in leaf.layer.values.items() if key not in ("name", "trainable")}
    else:
        found = dict(kind.attributes(Settings(leaf.layer.values, leaf.name), given))
    options = [dict(call.options) for call in leaf.layer.calls]
    if any(options):
        found["called_with"] = options
    if leaf.name in wiring.calls:
        found["called_again_on"] = [list(sources) for sources in wiring.calls[leaf.name]]
    sources = wiring.sources.get(leaf.name, ())
    if any("#" in source for source in sources):
        found["called_on"] = list(sources)
    return found


def _in_order(layers: Mapping[str, Layer]) -> tuple[Layer, ...]:
    """Each layer behind those that feed it, otherwise in the file's order."""
    done: dict[str, Layer] = {}
    waiting = list(layers.values())
    while waiting:
        later = []
        for layer in waiting:
            if all(source in done or source not in layers for source in layer.inputs):
                done[layer.name] = layer
            else:
                later.append(layer)
        if len(later) == len(waiting):
            done |= {layer.name: layer for layer in later}
            break
        waiting = later
    return tuple(done.values())


def _known(shape: MaybeShape) -> tuple[int, ...]:
    """-1 stands for a size that is not fixed."""
    return () if shape is None else tuple(-1 if size is None else size for size in shape)
