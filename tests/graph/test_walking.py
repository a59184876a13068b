"""Who makes a value, who uses it, what it depends on."""

from __future__ import annotations

import random

import pytest

from toolkit.graph import Node, ancestors, consumers, node_key, producers, topological_order

#   x ─ a ─ b ─ sum ─ y        the second output of b is not used; c depends on no input
#        └──────┘  └ c
NODES = (
    Node("Relu", ("x",), ("a",)),
    Node("Dropout", ("a", ""), ("b", "mask")),
    Node("Constant", (), ("c",)),
    Node("Sum", ("b", "a", "c"), ("sum",)),
    Node("Softmax", ("sum",), ("y",)),
)


def test_every_value_knows_its_producer_and_its_uses() -> None:
    made_by, used_by = producers(NODES), consumers(NODES)
    assert {value: node.operator for value, node in made_by.items()} == {
        "a": "Relu",
        "b": "Dropout",
        "mask": "Dropout",
        "c": "Constant",
        "sum": "Sum",
        "y": "Softmax",
    }
    assert [(use.node.operator, use.slot) for use in used_by["a"]] == [("Dropout", 0), ("Sum", 1)]
    assert "" not in used_by
    assert "y" not in used_by


def test_ancestors_come_in_order_and_stop_where_values_are_given() -> None:
    assert [node_key(node) for node in ancestors(NODES, ["sum"])] == ["a", "b", "c", "sum"]
    assert [node_key(node) for node in ancestors(NODES, ["sum"], stop_at=["a"])] == ["b", "c", "sum"]
    assert ancestors(NODES, ["x"]) == ()


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_nodes_is_sorted(seed: int) -> None:
    shuffled = random.Random(seed).sample(NODES, len(NODES))
    made: set[str] = {"x", ""}
    for node in topological_order(shuffled):
        assert made.issuperset(node.inputs)
        made.update(node.outputs)
    assert len(made) == 8


def test_an_order_that_is_right_already_is_kept() -> None:
    assert topological_order(NODES) == NODES


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="its own output"):
        topological_order([Node("Relu", ("b",), ("a",)), Node("Relu", ("a",), ("b",))])


def test_a_long_chain_needs_no_deep_recursion() -> None:
    chain = [Node("Relu", (f"v{i}",), (f"v{i + 1}",)) for i in range(5000)]
    assert topological_order(chain[::-1]) == tuple(chain)
