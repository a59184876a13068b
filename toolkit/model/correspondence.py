"""Which layer and tensor of one network corresponds to which of another."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from toolkit.graph import Node
from toolkit.graph.matching import Wiring, as_json, color, exact, pair, refined, rough
from toolkit.model.model import Model
from toolkit.tensors import TensorRole
from toolkit.vocabulary import sizes


def correspondence(first: Model, other: Model) -> Mapping[str, str] | None:
    """The one way in which another network is the first one: its tensors' names by those of the first.

    Random generator states, which are no weights, are left out. None if the networks differ in an
    operation, an attribute, a shape or a connection. Layers that do nothing at inference (dropout,
    noise, augmentation) are not in the graph and do not count. A Keras and an ONNX network correspond
    if every tensor is stored in the same form.
    """
    if first.input_shape != other.input_shape:
        return None
    ours, theirs = _wiring(first), _wiring(other)
    pairs = pair(ours, theirs, exact)
    if pairs is None:
        return None
    layers: dict[str, str] = {}
    for name in ours.nodes:
        if ours.nodes[name].layer:
            layers.setdefault(ours.nodes[name].layer, theirs.nodes[pairs[name]].layer)
    unused, answers = _unused(first, ours, layers), _unused(other, theirs)
    if unused.keys() != answers.keys():
        return None
    tensors = {name: pairs[name] for name in ours.tensors}
    tensors |= {name: answers[key] for key, name in unused.items()}
    return {name: tensors[name] for name in first.tensors if name in tensors}


def _wiring(model: Model) -> Wiring:
    return Wiring.of(model.describe_graph(), model.tensors.specs)


def _unused(
    model: Model, wiring: Wiring, layers: Mapping[str, str] | None = None
) -> dict[tuple[str, str, tuple[int, ...]], str]:
    """Tensors that inference does not use, by layer, name in the layer, and shape."""
    found = {}
    for layer in model.layers:
        name = layer.name if layers is None else layers.get(layer.name, layer.name)
        for spec in layer.tensors:
            if spec.name not in wiring.tensors and spec.role is not TensorRole.GENERATOR_STATE:
                found[name, spec.name.removeprefix(f"{layer.name}/"), spec.shape] = spec.name
    return found


def signature(model: Model) -> str:
    """A digest, 64 hexadecimal digits, that two networks share if one is the other under other names."""
    wiring = _wiring(model)
    colors = refined(wiring, exact(wiring))
    unused = sorted((part, shape) for _, part, shape in _unused(model, wiring))
    return color(model.input_shape, sorted(colors.values()), unused)


def differences(first: Model, other: Model, called: str = "the first one") -> list[str]:
    """What distinguishes another network from the first, in sentences that name layer and tensor.

    ``called`` is the sentences' name of the first network. Empty if :func:`correspondence` finds one.
    """
    if correspondence(first, other) is not None:
        return []
    if first.dialect != other.dialect:
        return [
            f"is {_dialect(other)}, {called} is {_dialect(first)}, and their tensors are not stored alike"
        ]
    found: list[str] = []
    if first.input_shape != other.input_shape:
        found.append(f"takes inputs of {sizes(other.input_shape)}, {called} of {sizes(first.input_shape)}")
    ours, theirs = _Described(first), _Described(other)
    pairs = pair(ours.wiring, theirs.wiring, rough)
    if pairs is not None:
        for name in ours.wiring.nodes:
            found += _unlike(ours, name, theirs, pairs[name], called)
    else:
        counts = len(ours.wiring.nodes), len(theirs.wiring.nodes)
        if counts[0] != counts[1]:
            found.append(f"has {counts[1]} operations, {called} has {counts[0]}")
        found += _missing(ours, theirs, called)
    return list(dict.fromkeys(found)) or [f"has the layers of {called}, but connects them in another way"]


class _Described:
    """A network, and how sentences name its layers."""

    def __init__(self, model: Model) -> None:
        self.wiring = _wiring(model)
        self._kinds = {layer.name: layer.kind for layer in model.layers}

    def name(self, node: Node) -> str:
        """The name of a node's layer."""
        return node.layer or node.name or node.outputs[0]

    def layer(self, node: Node) -> str:
        """Name and kind of a node's layer."""
        return f"{self.name(node)} ({self._kinds.get(node.layer, node.operator)})"

    def computation(self, node: Node) -> str:
        """A node's operator and the tensors that it uses."""
        parts = [value.rpartition("/")[2] for value in node.inputs if value in self.wiring.tensors]
        return f"{node.operator} with {', '.join(parts)}" if parts else node.operator

    def by_layer(self, nodes: Sequence[Node]) -> Iterator[tuple[str, str]]:
        """Each layer of some nodes, and their operators with "in" if they are only a part of it."""
        for name, group in groupby(nodes, self.name):
            found = list(group)
            whole = sum(self.name(node) == name for node in self.wiring.nodes.values())
            operators = ", ".join(node.operator for node in found)
            yield self.layer(found[0]), "" if len(found) == whole else f"{operators} in "


def _unlike(ours: _Described, mine: str, theirs: _Described, other: str, called: str) -> Iterator[str]:
    """How two nodes of one operator differ."""
    a_node, b_node = ours.wiring.nodes[mine], theirs.wiring.nodes[other]
    shapes_differ = False
    values: dict[str, tuple[Any, Any]] = {}
    for place, (a, b) in enumerate(zip(ours.wiring.slots[mine], theirs.wiring.slots[other], strict=False)):
        if a.kind == b.kind == "tensor":
            (a_spec, a_order), (b_spec, b_order) = ours.wiring.tensors[a.what], theirs.wiring.tensors[b.what]
            if a_spec.shape != b_spec.shape:
                shapes_differ = True
                yield f"{b.what} is {sizes(b_spec.shape)}, {called}'s {a.what} is {sizes(a_spec.shape)}"
            elif a_order != b_order:
                yield f"{b.what} is used in another order of elements than {called}'s {a.what}"
        elif a.kind == b.kind == "constant":
            values[f"input {place}"] = a.what, b.what
    if shapes_differ:  # attributes would repeat it: a kernel's size, the number of groups
        return
    for key in sorted({*a_node.attributes, *b_node.attributes}):
        values[key] = as_json(a_node.attributes.get(key)), as_json(b_node.attributes.get(key))
    for key, (a_value, b_value) in values.items():
        if color(a_value) != color(b_value):
            yield (
                f"layer {theirs.layer(b_node)} has {key} {_value(b_value)}, "
                f"{called}'s {ours.name(a_node)} has {_value(a_value)}"
            )


def _missing(ours: _Described, theirs: _Described, called: str) -> Iterator[str]:
    """Which nodes only one of two networks has, compared in topological order."""
    a_colors, b_colors = rough(ours.wiring), rough(theirs.wiring)
    a_nodes, b_nodes = list(ours.wiring.nodes.items()), list(theirs.wiring.nodes.items())
    matcher = difflib.SequenceMatcher(
        None, [a_colors[key] for key, _ in a_nodes], [b_colors[key] for key, _ in b_nodes], autojunk=False
    )
    for verb, i1, i2, j1, j2 in matcher.get_opcodes():
        mine, other = a_nodes[i1:i2], b_nodes[j1:j2]
        if len(mine) == len(other):
            for (a, a_node), (b, b_node) in zip(mine, other, strict=True):
                if verb == "equal":
                    yield from _unlike(ours, a, theirs, b, called)
                    continue
                yield (
                    f"layer {theirs.layer(b_node)} computes {theirs.computation(b_node)}, "
                    f"{called}'s {ours.name(a_node)} computes {ours.computation(a_node)}"
                )
        else:
            for layer, operators in theirs.by_layer([node for _, node in other]):
                yield f"has {operators}layer {layer}, which {called} does not have"
            for layer, operators in ours.by_layer([node for _, node in mine]):
                yield f"lacks {operators}{called}'s layer {layer}"


def _dialect(model: Model) -> str:
    known = {"keras": "a Keras network", "onnx": "an ONNX network"}
    return known.get(model.dialect, f"a network in {model.dialect}")


def _value(value: Any) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"
