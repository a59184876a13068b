"""Which layer of one network stands where a layer of another one stands.

Names do not tell: two trainings in one process call the same layer ``conv2d`` and ``conv2d_3``.
So every layer is coloured by what it is, by all that leads to it and by all that follows from it
(colour refinement, as in graph isomorphism tests), and layers of one colour belong together.
Where a network is symmetric, so that several layers share a colour, equal names decide, then order.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.graph import Layer
from toolkit.model.model import Model
from toolkit.tensors import TensorRole, TensorSpec

_IDENTITY = frozenset(
    {
        "ActivityRegularization",
        "AlphaDropout",
        "Dropout",
        "GaussianDropout",
        "GaussianNoise",
        "Identity",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
    }
)
_AUGMENTATION = "Random"
_COMMUTATIVE = frozenset(
    {"Add", "Average", "Max", "Maximum", "Mean", "Min", "Minimum", "Mul", "Multiply", "Sum"}
)
_INPUTS = frozenset({"Input", "InputLayer"})
_CALLED_ON, _CALLED_AGAIN_ON = "called_on", "called_again_on"

Label = Callable[[Layer], str]


@dataclass(frozen=True, slots=True)
class Correspondence:
    """How the layers and tensors of another network answer to those of the first.

    Attributes:
        layers: Name in the first network to name in the other.
        tensors: The same for every tensor but random generator states, which belong to no weight.
    """

    layers: Mapping[str, str]
    tensors: Mapping[str, str]


def correspondence(first: Model, other: Model) -> Correspondence | None:
    """Find the one way in which another network is the first one under other names.

    Layers that do nothing at inference (dropout, noise, augmentation) are looked through.

    Returns:
        None where the networks differ in a layer, an attribute, a shape or a connection.
    """
    ours, theirs = _Wiring.of(first), _Wiring.of(other)
    layers = _pair(ours, theirs, _exact)
    if layers is None:
        return None
    tensors: dict[str, str] = {}
    for name, answer in layers.items():
        tensors |= _pair_tensors(ours.layers[name], theirs.layers[answer])
    return Correspondence(layers, tensors)


def signature(model: Model) -> str:
    """A digest that two topologies share when one is the other under other names.

    Returns:
        64 hexadecimal digits.
    """
    wiring = _Wiring.of(model)
    colors = _refined(wiring, {name: _exact(layer) for name, layer in wiring.layers.items()})
    return _hash(model.dialect, list(model.input_shape), sorted(colors.values()))


def differences(first: Model, other: Model, called: str = "the first one") -> list[str]:
    """What distinguishes another network from the first, in sentences that name layer and tensor.

    Args:
        first: The network to compare with.
        other: The network that the sentences are about.
        called: What the sentences call the first one.

    Returns:
        An empty list where :func:`correspondence` finds one.
    """
    if first.dialect != other.dialect:
        return [f"is {_dialect(other)}, {called} is {_dialect(first)}"]
    found: list[str] = []
    if first.input_shape != other.input_shape:
        found.append(f"takes inputs of {_shape(other.input_shape)}, {called} of {_shape(first.input_shape)}")
    ours, theirs = _Wiring.of(first), _Wiring.of(other)
    if _pair(ours, theirs, _exact) is not None:
        return found
    layers = _pair(ours, theirs, _rough)
    if layers is not None:
        for name, answer in layers.items():
            found += _unlike(ours.layers[name], theirs.layers[answer], called)
        return found
    if len(ours.layers) != len(theirs.layers):
        found.append(f"has {len(theirs.layers)} layers that compute, {called} has {len(ours.layers)}")
    found += _missing(list(ours.layers.values()), list(theirs.layers.values()), called)
    return found or [f"has the layers of {called}, but connects them in another way"]


@dataclass(frozen=True, slots=True)
class _Wiring:
    """The layers that compute something, call by call, wired past those that do not.

    Attributes:
        layers: By name.
        calls: Every layer's calls, in order: one, or several where its weights are shared.
        feeds: The calls that feed a call; each stands behind those that feed it.
        users: The calls that a call feeds, each with the place in which it takes it.
    """

    layers: Mapping[str, Layer]
    calls: Mapping[str, tuple[str, ...]]
    feeds: Mapping[str, tuple[str, ...]]
    users: Mapping[str, tuple[tuple[int, str], ...]]

    @classmethod
    def of(cls, model: Model) -> _Wiring:
        stands_for: dict[str, str] = {}
        layers: dict[str, Layer] = {}
        calls: dict[str, list[str]] = {}
        feeds: dict[str, tuple[str, ...]] = {}
        users: dict[str, list[tuple[int, str]]] = {}
        for call, (layer, sources) in _in_order(_calls(model)).items():
            fed_by = tuple(stands_for.get(source, source) for source in sources)
            if _does_nothing(layer) and len(fed_by) == 1:
                stands_for[call] = fed_by[0]
                continue
            layers[layer.name] = layer
            calls.setdefault(layer.name, []).append(call)
            feeds[call], users[call] = fed_by, []
            for slot, source in enumerate(fed_by):
                if source in users:
                    users[source].append((0 if layer.kind in _COMMUTATIVE else slot, call))
        return cls(
            layers,
            {name: tuple(own) for name, own in calls.items()},
            feeds,
            {call: tuple(own) for call, own in users.items()},
        )


def _calls(model: Model) -> dict[str, tuple[Layer, tuple[str, ...]]]:
    """Every call of every layer and what it is called on; the second call of ``conv`` is ``conv#1``."""
    found: dict[str, tuple[Layer, tuple[str, ...]]] = {}
    for layer in model.topology.layers:
        first = layer.attributes.get(_CALLED_ON, layer.inputs)
        for index, sources in enumerate((first, *layer.attributes.get(_CALLED_AGAIN_ON, ()))):
            found[f"{layer.name}#{index}" if index else layer.name] = (layer, tuple(sources))
    return found


def _in_order(
    calls: Mapping[str, tuple[Layer, tuple[str, ...]]],
) -> dict[str, tuple[Layer, tuple[str, ...]]]:
    """Each call behind those that feed it, otherwise in the order given."""
    done: dict[str, tuple[Layer, tuple[str, ...]]] = {}
    waiting = dict(calls)
    while waiting:
        ready = {
            call: found
            for call, found in waiting.items()
            if not any(source in waiting and source != call for source in found[1])
        }
        done |= ready or waiting
        waiting = {call: found for call, found in waiting.items() if call not in done}
    return done


def _does_nothing(layer: Layer) -> bool:
    known = layer.kind in _IDENTITY or layer.kind.startswith(_AUGMENTATION)
    return known and len(layer.inputs) == 1 and not _weights(layer)


def _weights(layer: Layer) -> list[TensorSpec]:
    return [spec for spec in layer.tensors if spec.role is not TensorRole.GENERATOR_STATE]


def _exact(layer: Layer) -> str:
    tensors = sorted((spec.role.value, list(spec.shape)) for spec in _weights(layer))
    return _hash(layer.kind, {} if layer.kind in _INPUTS else _attributes(layer), tensors)


def _attributes(layer: Layer) -> dict[str, Any]:
    """What a layer computes, without what it is called on: that is wiring, and bears names."""
    return {k: v for k, v in layer.attributes.items() if k not in (_CALLED_ON, _CALLED_AGAIN_ON)}


def _rough(layer: Layer) -> str:
    return _hash(layer.kind, sorted(spec.role.value for spec in _weights(layer)))


def _hash(*parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _refined(wiring: _Wiring, colors: Mapping[str, str]) -> dict[str, str]:
    """Colour until no further layer can be told from another one."""
    current = dict(colors)
    layer_of = {call: name for name, calls in wiring.calls.items() for call in calls}
    while True:
        kinds = len(set(current.values()))
        above: dict[str, str] = {}
        for call, sources in wiring.feeds.items():
            name = layer_of[call]
            feeds = [above.get(source, "") for source in sources]
            above[call] = _hash(
                current[name], sorted(feeds) if wiring.layers[name].kind in _COMMUTATIVE else feeds
            )
        below: dict[str, str] = {}
        for call in reversed(list(wiring.feeds)):
            below[call] = _hash(
                current[layer_of[call]], sorted((slot, below[user]) for slot, user in wiring.users[call])
            )
        current = {
            name: _hash(*((above[call], below[call]) for call in calls))
            for name, calls in wiring.calls.items()
        }
        if len(set(current.values())) in (kinds, len(current)):
            return current


def _pair(ours: _Wiring, theirs: _Wiring, label: Label) -> dict[str, str] | None:
    if len(ours.layers) != len(theirs.layers):
        return None
    mine = {name: label(layer) for name, layer in ours.layers.items()}
    other = {name: label(layer) for name, layer in theirs.layers.items()}
    if Counter(mine.values()) != Counter(other.values()):
        return None
    while True:
        # Both sides go the same number of rounds, for their colour classes are of equal sizes.
        mine, other = _refined(ours, mine), _refined(theirs, other)
        counts = Counter(mine.values())
        if counts != Counter(other.values()):
            return None
        doubtful = next((name for name, color in mine.items() if counts[color] > 1), None)
        if doubtful is None:
            place = {color: name for name, color in other.items()}
            return {name: place[color] for name, color in mine.items()}
        alike = [name for name, color in other.items() if color == mine[doubtful]]
        chosen = doubtful if doubtful in alike else alike[0]
        mine[doubtful] = other[chosen] = _hash("chosen", mine[doubtful])


def _pair_tensors(ours: Layer, theirs: Layer) -> dict[str, str]:
    mine, other = _weights(ours), _weights(theirs)
    by_part = {_part(spec, theirs): spec for spec in other}
    if len(by_part) == len(other) and {_part(spec, ours) for spec in mine} == set(by_part):
        return {spec.name: by_part[_part(spec, ours)].name for spec in mine}
    pairs: dict[str, str] = {}
    for role in {spec.role for spec in mine}:
        same = ([spec for spec in side if spec.role is role] for side in (mine, other))
        pairs |= {a.name: b.name for a, b in zip(*same, strict=True)}
    return pairs


def _part(spec: TensorSpec, layer: Layer) -> str:
    return spec.name.removeprefix(f"{layer.name}/")


def _unlike(ours: Layer, theirs: Layer, called: str) -> Iterator[str]:
    shapes_differ = False
    for name, answer in _pair_tensors(ours, theirs).items():
        a = next(spec for spec in ours.tensors if spec.name == name)
        b = next(spec for spec in theirs.tensors if spec.name == answer)
        if a.shape != b.shape:
            shapes_differ = True
            yield f"{b.name} is {_shape(b.shape)}, {called}'s {a.name} is {_shape(a.shape)}"
    if ours.kind in _INPUTS or shapes_differ:  # attributes that say the same again: units, filters
        return
    mine, other = _attributes(ours), _attributes(theirs)
    for key in sorted({*mine, *other}):
        a_value, b_value = mine.get(key), other.get(key)
        if _hash(a_value) != _hash(b_value):
            yield (
                f"layer {theirs.name} ({theirs.kind}) has {key} {_value(b_value)}, "
                f"{called}'s {ours.name} has {_value(a_value)}"
            )


def _missing(ours: Sequence[Layer], theirs: Sequence[Layer], called: str) -> Iterator[str]:
    matcher = difflib.SequenceMatcher(
        None, [_rough(layer) for layer in ours], [_rough(layer) for layer in theirs], autojunk=False
    )
    for verb, i1, i2, j1, j2 in matcher.get_opcodes():
        if verb == "equal":
            for a, b in zip(ours[i1:i2], theirs[j1:j2], strict=True):
                yield from _unlike(a, b, called)
            continue
        for layer in theirs[j1:j2]:
            yield f"has layer {layer.name} ({_kind(layer)}), which {called} has not"
        for layer in ours[i1:i2]:
            yield f"lacks {called}'s layer {layer.name} ({_kind(layer)})"


def _kind(layer: Layer) -> str:
    shapes = ", ".join(_shape(spec.shape) for spec in _weights(layer)[:1])
    return f"{layer.kind} {shapes}" if shapes else layer.kind


def _dialect(model: Model) -> str:
    known = {"keras": "a Keras network", "onnx": "an ONNX network"}
    return known.get(model.dialect, f"a network in {model.dialect}")


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) if shape else "one number"


def _value(value: Any) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"
