"""Named arrays that are read when they are needed, their roles and their digests."""

from __future__ import annotations

from toolkit.tensors.digest import RecordedTensors, weights_digest
from toolkit.tensors.finite import FiniteTensors, is_finite, not_finite
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
    "FiniteTensors",
    "OverlaidTensors",
    "RecordedTensors",
    "TensorRole",
    "TensorSpec",
    "Tensors",
    "is_finite",
    "not_finite",
    "weighted_mean",
    "weights_digest",
]
