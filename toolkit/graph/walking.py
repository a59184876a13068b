"""Walking a graph: who makes a value, who uses it, what it depends on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from toolkit.graph.graph import Node


class Use(NamedTuple):
    """One use of a value: the node, and which of its inputs the value is."""

    node: Node
    slot: int


def producers(nodes: Iterable[Node]) -> dict[str, Node]:
    """The node that makes each value; graph inputs and initializers have none."""
    return {value: node for node in nodes for value in node.outputs if value}


def consumers(nodes: Iterable[Node]) -> dict[str, list[Use]]:
    """Every use of each value and initializer, in the order of the nodes."""
    found: dict[str, list[Use]] = {}
    for node in nodes:
        for slot, value in enumerate(node.inputs):
            if value:
                found.setdefault(value, []).append(Use(node, slot))
    return found


def topological_order(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes, each after those that make its inputs, otherwise in the order given.

    Raises:
        ValueError: If the nodes form a circle.
    """
    made_by = producers(nodes)
    done: dict[str, Node] = {}
    on_path: set[str] = set()
    stack = list(reversed(nodes))
    while stack:
        node = stack[-1]
        key = node_key(node)
        needed = [made_by[value] for value in node.inputs if value in made_by]
        missing = [each for each in needed if node_key(each) not in done]
        if key in done or not missing:
            done.setdefault(key, node)
            stack.pop()
        elif key in on_path:
            raise ValueError(f"node {key} depends on its own output")
        else:
            on_path.add(key)
            stack += reversed(missing)
    return tuple(done.values())


def ancestors(
    nodes: Sequence[Node], values: Collection[str], stop_at: Collection[str] = ()
) -> tuple[Node, ...]:
    """The nodes that values depend on, those that make the values included, in the order of ``nodes``.

    The nodes are in topological order. Those that make the values in ``stop_at`` do not count.
    """
    wanted = set(values).difference(stop_at)
    found = []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs) and not set(stop_at).intersection(node.outputs):
            found.append(node)
            wanted.update(value for value in node.inputs if value and value not in stop_at)
    return tuple(reversed(found))


def node_key(node: Node) -> str:
    """What identifies a node in its graph: its first output."""
    return next(value for value in node.outputs if value)
