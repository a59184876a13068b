"""A Keras model, parsed: layers, calls, nested models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from toolkit.errors import LimitReachedError, UnreadableInputError, UnsupportedError
from toolkit_keras.layer_config import DAMAGED

MAX_CALLS = 20_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LayerOutput:
    """One output of one call of a layer."""

    layer: str
    call: int = 0
    output: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One use of a layer.

    Attributes:
        sources: What it is called on.
        options: Other arguments that are not null, such as ``training``.
    """

    sources: tuple[LayerOutput, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LayerNode:
    """One layer of a network.

    Attributes:
        name: Unique in its network.
        kind: Its class.
        module: The class's module in Keras; empty in legacy files.
        values: Its ``config``.
        calls: One or more for a layer in use; none for an input.
        network: The nested model that the layer is, or None.
        trainable: Whether it is trainable; decides the order of weights in `.h5`.
    """

    name: str
    kind: str
    module: str
    values: Mapping[str, Any]
    calls: tuple[Call, ...]
    network: KerasNetwork | None
    trainable: bool


@dataclass(frozen=True, slots=True)
class KerasNetwork:
    """A Sequential or Functional model.

    Attributes:
        layers: In the file's order.
        inputs: Its InputLayers' outputs; empty for a Sequential that declares no input.
        outputs: What it returns.
    """

    name: str
    sequential: bool
    layers: tuple[LayerNode, ...]
    inputs: tuple[LayerOutput, ...]
    outputs: tuple[LayerOutput, ...]
    trainable: bool = True


@dataclass(frozen=True, slots=True)
class Leaf:
    """A layer that is no model, wherever it is nested.

    Attributes:
        path: Names of the models around it and its own, from the outside in.
        trainable: Whether it and all the models around it are trainable.
    """

    path: tuple[str, ...]
    layer: LayerNode
    trainable: bool

    @property
    def name(self) -> str:
        """The path in one string."""
        return "/".join(self.path)


def leaves(network: KerasNetwork, above: tuple[str, ...] = (), *, trainable: bool = True) -> Iterator[Leaf]:
    """Every layer that is no model, depth first, in the file's order."""
    trainable = trainable and network.trainable
    for layer in network.layers:
        path = (*above, layer.name)
        if layer.network is None:
            yield Leaf(path, layer, trainable and layer.trainable)
        else:
            yield from leaves(layer.network, path, trainable=trainable and layer.trainable)


@dataclass(frozen=True, slots=True)
class LayerCall:
    """One call of one leaf, as :func:`evaluate` visits it.

    Attributes:
        path: Names of the models around the layer and its own.
        options: Other arguments.
        repeated: Whether the layer, or a model around it, is called more than once.
    """

    path: tuple[str, ...]
    layer: LayerNode
    options: Mapping[str, Any]
    repeated: bool

    @property
    def name(self) -> str:
        """The path in one string."""
        return "/".join(self.path)


def evaluate(
    network: KerasNetwork, inputs: Sequence[T], apply: Callable[[LayerCall, tuple[T, ...]], T]
) -> tuple[T, ...]:
    """Run a network over values of any kind: shapes, or values of a graph.

    Args:
        network: Nested models in it are run through.
        inputs: One value for each of the network's inputs.
        apply: From a leaf's call and its inputs to its output; an InputLayer receives the
            network's input.

    Returns:
        One value for each of the network's outputs.

    Raises:
        UnreadableInputError: If the connections form a circle or lead to no layer.
        LimitReachedError: If there are more than 20,000 calls.
    """
    budget = [MAX_CALLS]
    return _evaluate(network, tuple(inputs), apply, (), budget, repeated=False)


def _evaluate(
    network: KerasNetwork,
    inputs: tuple[T, ...],
    apply: Callable[[LayerCall, tuple[T, ...]], T],
    above: tuple[str, ...],
    budget: list[int],
    *,
    repeated: bool,
) -> tuple[T, ...]:
    done: dict[tuple[str, int], tuple[T, ...]] = {}
    if len(network.inputs) != len(inputs):
        raise UnsupportedError(
            f"model '{'/'.join(above) or network.name}' has {len(network.inputs)} inputs "
            f"and is given {len(inputs)}",
            hint="supported: models with one input",
        )
    by_name = {layer.name: layer for layer in network.layers}
    for source, value in zip(network.inputs, inputs, strict=True):
        if source.layer in by_name:
            layer = by_name[source.layer]
            done[source.layer, 0] = (apply(LayerCall((*above, source.layer), layer, {}, repeated), (value,)),)
        else:
            done[source.layer, 0] = (value,)
    waiting = [
        (layer, index)
        for layer in network.layers
        for index in range(len(layer.calls))
        if (layer.name, index) not in done
    ]
    while waiting:
        later = []
        for layer, index in waiting:
            call = layer.calls[index]
            if not all(_key(source) in done for source in call.sources):
                later.append((layer, index))
                continue
            budget[0] -= 1
            if budget[0] < 0:
                raise LimitReachedError(
                    f"the model calls its layers more than {MAX_CALLS} times",
                    hint="models that recognise characters are far smaller",
                )
            values = tuple(_output(done[_key(source)], source) for source in call.sources)
            again = repeated or len(layer.calls) > 1
            path = (*above, layer.name)
            if layer.network is None:
                done[layer.name, index] = (apply(LayerCall(path, layer, call.options, again), values),)
            else:
                done[layer.name, index] = _evaluate(
                    layer.network, values, apply, path, budget, repeated=again
                )
        if len(later) == len(waiting):
            stuck = ", ".join(sorted({layer.name for layer, _ in later})[:5])
            raise UnreadableInputError(
                f"model '{'/'.join(above) or network.name}': no input reaches {stuck}",
                hint=DAMAGED,
            )
        waiting = later
    missing = [source.layer for source in network.outputs if _key(source) not in done]
    if missing:
        raise UnreadableInputError(
            f"model '{'/'.join(above) or network.name}': its output {missing[0]} is not one of its layers",
            hint=DAMAGED,
        )
    return tuple(_output(done[_key(source)], source) for source in network.outputs)


def _key(source: LayerOutput) -> tuple[str, int]:
    return source.layer, source.call


def _output(values: tuple[T, ...], source: LayerOutput) -> T:
    if source.output >= len(values):
        raise UnreadableInputError(
            f"layer '{source.layer}' has no output {source.output}",
            hint=DAMAGED,
        )
    return values[source.output]
