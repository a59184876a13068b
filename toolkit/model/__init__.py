"""The model as data: tensors, topology, card, graph."""

from __future__ import annotations

from toolkit.model.card import Card, Parent, parse_card
from toolkit.model.model import Model
from toolkit.model.tensors import (
    ArrayTensors,
    OverlaidTensors,
    TensorRole,
    Tensors,
    TensorSpec,
    weighted_mean,
    weights_digest,
)
from toolkit.model.topology import Layer, Topology

__all__ = [
    "ArrayTensors",
    "Card",
    "Layer",
    "Model",
    "OverlaidTensors",
    "Parent",
    "TensorRole",
    "TensorSpec",
    "Tensors",
    "Topology",
    "parse_card",
    "weighted_mean",
    "weights_digest",
]
