"""How the tensors of a model are connected."""

from __future__ import annotations

from toolkit.graph.topology import Layer, Topology

__all__ = ["Layer", "Topology"]
