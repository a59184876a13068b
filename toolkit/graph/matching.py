"""Which node of one graph matches which node of another.

Names do not tell: two trainings in one process call the same layer ``conv2d`` and ``conv2d_3``.
So every node is coloured by what it is, by all that it depends on and by all that depends on it
(colour refinement, as in graph isomorphism tests); nodes of one colour match. A tensor is a vertex
of its own, so that shared weights match shared weights. If several nodes of a symmetric network
share a colour, equal names decide, then order.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from toolkit.graph.graph import Graph, Node
from toolkit.graph.rearrangement import Rearrangement
from toolkit.graph.walking import node_key, producers, topological_order
from toolkit.records import dataclass
from toolkit.tensors import TensorSpec

COMMUTATIVE = frozenset({"Add", "Max", "Mean", "Min", "Mul", "Sum"})
"""Operators that may take their inputs in any order."""

_OUTPUT = ""  # no node has this key
_IDLE = frozenset({"Dropout", "Identity"})
_LISTED = 64  # elements of an array that is shown in full; of larger ones only a digest


class Slot(NamedTuple):
    """One input of a node.

    Attributes:
        kind: ``value``, ``tensor``, ``constant``, ``input`` (the graph's), or ``none`` if it is left out.
        what: The key of the node that makes the value, the tensor's name, or the constant as JSON.
        output: The number of the value among that node's outputs.
    """

    kind: str
    what: Any = None
    output: int = 0


@dataclass(frozen=True)
class Wiring:
    """A graph in the form that is matched.

    Attributes:
        nodes: By key, in topological order.
        slots: What each node takes.
        tensors: Specification and rearrangement of every tensor that a node takes.
        users: For each node and tensor, what takes it: the input's number and the node.
    """

    nodes: Mapping[str, Node]
    slots: Mapping[str, tuple[Slot, ...]]
    tensors: Mapping[str, tuple[TensorSpec, Rearrangement]]
    users: Mapping[str, Sequence[tuple[int, str]]]

    @classmethod
    def of(cls, graph: Graph, specs: Mapping[str, TensorSpec]) -> Wiring:
        """Prepare a graph; tensors of integers are among its constants."""
        ordered = topological_order(graph.nodes)
        same_as: dict[str, str] = {}  # what passes through a node that does nothing
        for node in ordered:
            if node.operator in _IDLE and not node.domain:
                same_as[node.outputs[0]] = same_as.get(node.inputs[0], node.inputs[0])
        nodes = {node_key(node): node for node in ordered if node.outputs[0] not in same_as}
        made_by = producers(nodes.values())
        rearrangements = {binding.tensor: binding.rearrangement for binding in graph.bindings}
        rearrangements |= {name: Rearrangement() for name in graph.constants if name in specs}

        def slot(value: str) -> Slot:
            value = same_as.get(value, value)
            if value in rearrangements:
                return Slot("tensor", value)
            if value in made_by:
                return Slot("value", node_key(made_by[value]), made_by[value].outputs.index(value))
            if value in graph.constants:
                return Slot("constant", as_json(graph.constants[value]))
            return Slot("input" if value else "none")

        slots = {key: tuple(map(slot, node.inputs)) for key, node in nodes.items()}
        users: dict[str, list[tuple[int, str]]] = {}
        for key, own in slots.items():
            for place, taken in enumerate(own):
                if taken.kind in ("value", "tensor"):
                    place = 0 if nodes[key].operator in COMMUTATIVE else place
                    users.setdefault(taken.what, []).append((place, key))
        output = slot(graph.output)
        if output.kind == "value":
            users.setdefault(output.what, []).append((0, _OUTPUT))
        tensors = {name: (specs[name], moved) for name, moved in rearrangements.items() if name in users}
        return cls(nodes, slots, tensors, users)


Colors = dict[str, str]


def exact(wiring: Wiring) -> Colors:
    """Colours by everything that changes what is computed, and by the shapes of tensors."""
    colors = {}
    for key, node in wiring.nodes.items():
        constants = [slot.what for slot in wiring.slots[key] if slot.kind == "constant"]
        attributes = {name: as_json(value) for name, value in node.attributes.items()}
        colors[key] = color(node.domain, node.operator, attributes, constants, len(node.outputs))
    for name, (spec, rearrangement) in wiring.tensors.items():
        colors[name] = color(spec.role.value, spec.shape, repr(rearrangement))
    return colors


def rough(wiring: Wiring) -> Colors:
    """Colours by operator and by the roles of tensors alone."""
    colors = {name: color(spec.role.value) for name, (spec, _) in wiring.tensors.items()}
    for key, node in wiring.nodes.items():
        roles = [colors[slot.what] for slot in wiring.slots[key] if slot.kind == "tensor"]
        colors[key] = color(node.domain, node.operator, sorted(roles))
    return colors


def refined(wiring: Wiring, colors: Colors) -> Colors:
    """Colour until no further node or tensor can be told from another one."""
    current = dict(colors)
    while True:
        before = len(set(current.values()))
        above: Colors = {}
        for key, node in wiring.nodes.items():
            feeds = [
                color(slot.kind, slot.output, above.get(slot.what) or current.get(slot.what))
                for slot in wiring.slots[key]
                if slot.kind != "constant"
            ]
            above[key] = color(current[key], sorted(feeds) if node.operator in COMMUTATIVE else feeds)
        below: Colors = {_OUTPUT: _OUTPUT}
        for key in reversed(list(wiring.nodes)):
            uses = sorted((place, below[user]) for place, user in wiring.users.get(key, ()))
            below[key] = color(current[key], uses)
        found = {key: color(above[key], below[key]) for key in wiring.nodes}
        for name in wiring.tensors:
            uses = sorted((place, found[user]) for place, user in wiring.users[name])
            found[name] = color(current[name], uses)
        current = found
        if len(set(current.values())) in (before, len(current)):
            return current


def pair(ours: Wiring, theirs: Wiring, label: Callable[[Wiring], Colors]) -> dict[str, str] | None:
    """Match every node and tensor, ours to theirs, labelled by :func:`exact` or :func:`rough`.

    None if the graphs differ.
    """
    with suppress(ValueError):  # of arrays among attributes, which have no one answer
        if ours == theirs:
            return {name: name for name in (*ours.nodes, *ours.tensors)}
    mine, other = label(ours), label(theirs)
    while True:
        # Both sides go the same number of rounds, since their colour classes are of equal sizes.
        mine, other = refined(ours, mine), refined(theirs, other)
        counts = Counter(mine.values())
        if counts != Counter(other.values()):
            return None
        doubtful = next((name for name, found in mine.items() if counts[found] > 1), None)
        if doubtful is None:
            place = {found: name for name, found in other.items()}
            return {name: place[found] for name, found in mine.items()}
        alike = [name for name, found in other.items() if found == mine[doubtful]]
        chosen = _by_name(ours, theirs, doubtful, alike)
        mine[doubtful] = other[chosen] = color("chosen", mine[doubtful])


def _by_name(ours: Wiring, theirs: Wiring, name: str, alike: list[str]) -> str:
    if name in alike:
        return name
    layer = ours.nodes[name].layer if name in ours.nodes else None
    return next((key for key in alike if layer and theirs.nodes[key].layer == layer), alike[0])


def color(*parts: Any) -> str:
    """A digest of JSON values."""
    text = json.dumps(parts, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def as_json(value: Any) -> Any:
    """An attribute or constant as a JSON value; a large array as its type, shape and digest."""
    if isinstance(value, np.ndarray):
        if value.size <= _LISTED and value.dtype.kind in "fiub":
            return value.tolist()
        content = value.astype(str) if value.dtype == object else value
        digest = hashlib.sha256(np.ascontiguousarray(content).tobytes()).hexdigest()
        return f"{value.dtype} {'×'.join(map(str, value.shape))} {digest}"
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [as_json(item) for item in value]
    return value if isinstance(value, int | float | str | None) else str(value)
