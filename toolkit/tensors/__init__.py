"""Named arrays that are read when they are needed, their roles and their digest."""

from __future__ import annotations

from toolkit.tensors.tensors import (
    ArrayTensors,
    OverlaidTensors,
    TensorRole,
    Tensors,
    TensorSpec,
    weighted_mean,
    weights_digest,
)

__all__ = [
    "ArrayTensors",
    "OverlaidTensors",
    "TensorRole",
    "TensorSpec",
    "Tensors",
    "weighted_mean",
    "weights_digest",
]
