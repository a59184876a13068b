"""How the tensors of a model are connected: ONNX operators as plain data, and walking them."""

from __future__ import annotations

from toolkit.graph.graph import Binding, Graph, Node, unused_name
from toolkit.graph.rearrangement import AS_STORED, Permute, Rearrangement, Reshape, Take
from toolkit.graph.walking import Use, ancestors, consumers, node_key, producers, topological_order

__all__ = [
    "AS_STORED",
    "Binding",
    "Graph",
    "Node",
    "Permute",
    "Rearrangement",
    "Reshape",
    "Take",
    "Use",
    "ancestors",
    "consumers",
    "node_key",
    "producers",
    "topological_order",
    "unused_name",
]
