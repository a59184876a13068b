"""The weights digest: what “the same model” means."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.tensors.tensors import TensorRole, Tensors, TensorSpec


class RecordedTensors(Tensors):
    """Tensors whose digests are recorded as they are read.

    Give them to a writer in place of the originals: the digest of what it wrote is then known
    without reading, or computing, any tensor a second time.
    """

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self.specs = tensors.specs
        self._digests: dict[str, bytes] = {}

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor and record its digest."""
        array = self._tensors.read(name)
        if name not in self._digests:
            self._digests[name] = tensor_digest(self.specs[name], array)
        return array

    def weights_digest(self) -> str:
        """The :func:`weights_digest`; tensors that were not read yet are read now."""
        digest = hashlib.sha256()
        for name in sorted(self.specs):
            if self.specs[name].role is TensorRole.GENERATOR_STATE:
                continue
            if name not in self._digests:
                self.read(name)
            digest.update(self._digests[name])
        return digest.hexdigest()


def tensor_digest(spec: TensorSpec, array: NDArray[Any]) -> bytes:
    """SHA-256, 32 bytes, over a tensor's name, type, shape and little-endian bytes."""
    dtype = spec.dtype.newbyteorder("<")
    digest = hashlib.sha256(f"{spec.name}\0{dtype.str}\0{spec.shape}\0".encode())
    digest.update(np.ascontiguousarray(array, dtype=dtype).data)
    return digest.digest()


def weights_digest(tensors: Tensors) -> str:
    """SHA-256, as 64 hexadecimal digits, over the tensors' digests, sorted by name.

    Random generator states are left out: they change with every run of a network.
    """
    return RecordedTensors(tensors).weights_digest()
