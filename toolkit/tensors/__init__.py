"""Named arrays that are read when they are needed, their roles and their digests."""

from __future__ import annotations

from toolkit.tensors.digest import RecordedTensors, weights_digest
from toolkit.tensors.tensors import (
    ArrayTensors,
    OverlaidTensors,
    TensorRole,
    Tensors,
    TensorSpec,
    weighted_mean,
)

__all__ = [
    "ArrayTensors",
    "OverlaidTensors",
    "RecordedTensors",
    "TensorRole",
    "TensorSpec",
    "Tensors",
    "weighted_mean",
    "weights_digest",
]
