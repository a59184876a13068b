"""A Keras model, parsed: layers, calls, nested models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import count
from typing import Any, TypeVar

from toolkit.errors import LimitReachedError, UnsupportedError
from toolkit.records import dataclass
from toolkit_keras.file_errors import damaged_config
from toolkit_keras.layer_config import LayerConfig

MAX_CALLS = 20_000

T = TypeVar("T")


@dataclass(frozen=True)
class LayerOutput:
    """One output of one call of a layer, which is given by its own name."""

    layer: str
    call: int = 0
    output: int = 0


@dataclass(frozen=True)
class LayerCall:
    """One use of a layer: what it is called on, and other arguments such as ``training``."""

    sources: tuple[LayerOutput, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def with_numbers(
        self, values: tuple[T, ...], make: Callable[[float], T]
    ) -> tuple[LayerCall, tuple[T, ...]]:
        """The call without the numbers among its arguments, and its values with them in their places.

        As it is if an argument is neither a tensor nor a number.
        """
        given = self.options.get("constants", {})
        if not given or not all(type(number) in (int, float) for number in given.values()):
            return self, values
        rest = iter(values)
        places = range(len(values) + len(given))
        filled = tuple(make(float(given[place])) if place in given else next(rest) for place in places)
        options = {key: value for key, value in self.options.items() if key != "constants"}
        return LayerCall(self.sources, options), filled


@dataclass(frozen=True)
class LayerNode:
    """One layer of a network.

    Attributes:
        path: Names of the models around it and its own, from the outside in.
        module: Its class's module; empty in legacy files.
        calls: One or more for a layer in use; none for an input.
        network: The nested model that the layer is, or None.
        trainable: Whether it and all the models around it are.
        repeated: Whether it, or a model around it, is called more than once.
    """

    path: tuple[str, ...]
    kind: str
    module: str
    config: LayerConfig
    calls: tuple[LayerCall, ...]
    network: KerasNetwork | None
    trainable: bool
    repeated: bool

    @property
    def name(self) -> str:
        """The path in one string."""
        return "/".join(self.path)


@dataclass(frozen=True)
class KerasNetwork:
    """A Sequential or Functional model, its layers in the file's order.

    The only input of a Sequential that declares none has an empty name.
    """

    name: str
    sequential: bool
    layers: tuple[LayerNode, ...]
    inputs: tuple[LayerOutput, ...]
    outputs: tuple[LayerOutput, ...]


def leaves(network: KerasNetwork) -> Iterator[LayerNode]:
    """Every layer that is not a model, depth first, in the file's order."""
    for layer in network.layers:
        if layer.network is None:
            yield layer
        else:
            yield from leaves(layer.network)


def evaluate(
    network: KerasNetwork,
    inputs: Sequence[T],
    apply: Callable[[LayerNode, LayerCall, tuple[T, ...]], T],
    calls: Iterator[int] | None = None,
) -> tuple[T, ...]:
    """Run a network over values of any kind: shapes, or values of a graph.

    ``apply`` makes the output of a call of a layer that is not a model from the call's inputs; an
    InputLayer receives the network's input. ``calls`` counts the calls of all nested models, up to
    20,000. Connections that lead nowhere or in a circle are damage.
    """
    calls = calls or count(1)
    done: dict[tuple[str, int], tuple[T, ...]] = {}
    if len(network.inputs) != len(inputs):
        raise UnsupportedError(
            f"model '{network.name}' has {len(network.inputs)} inputs and is given {len(inputs)}",
            hint="supported: models with one input",
        )
    by_name = {layer.path[-1]: layer for layer in network.layers}
    for source, value in zip(network.inputs, inputs, strict=True):
        layer = by_name.get(source.layer)
        done[source.layer, 0] = (value if layer is None else apply(layer, LayerCall(()), (value,)),)
    waiting = [
        (name, index)
        for name, layer in by_name.items()
        for index in range(len(layer.calls))
        if (name, index) not in done
    ]
    while waiting:
        later = []
        for name, index in waiting:
            layer = by_name[name]
            call = layer.calls[index]
            if not all((source.layer, source.call) in done for source in call.sources):
                later.append((name, index))
                continue
            if next(calls) > MAX_CALLS:
                raise LimitReachedError(
                    f"the model calls its layers more than {MAX_CALLS} times",
                    hint="models that recognise characters are far smaller",
                )
            values = tuple(_output(done, source) for source in call.sources)
            if layer.network is None:
                done[name, index] = (apply(layer, call, values),)
            else:
                done[name, index] = evaluate(layer.network, values, apply, calls)
        if len(later) == len(waiting):
            stuck = ", ".join(sorted({name for name, _ in later})[:5])
            raise damaged_config(f"model '{network.name}': no input reaches {stuck}")
        waiting = later
    for source in network.outputs:
        if (source.layer, source.call) not in done:
            raise damaged_config(
                f"model '{network.name}': its output {source.layer} is not one of its layers"
            )
    return tuple(_output(done, source) for source in network.outputs)


def _output(done: Mapping[tuple[str, int], tuple[T, ...]], source: LayerOutput) -> T:
    values = done[source.layer, source.call]
    if source.output >= len(values):
        raise damaged_config(f"layer '{source.layer}' has no output {source.output}")
    return values[source.output]
