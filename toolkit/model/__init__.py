"""One trained network as data: its tensors, its graph, and its card."""

from __future__ import annotations

from toolkit.model.card import Card, Parent, parse_card
from toolkit.model.model import Layer, Model

__all__ = ["Card", "Layer", "Model", "Parent", "parse_card"]
