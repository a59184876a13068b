"""Seeing one network's tensors under another one's names."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UnreadableInputError
from toolkit.model import Model
from toolkit.model.correspondence import Correspondence
from toolkit.tensors import TensorRole, Tensors, TensorSpec


class RenamedTensors(Tensors):
    """The tensors of one network under the names of another one; nothing is read or copied.

    Args:
        below: The tensors as their own network names them.
        names: New name to own name.
        reference: The other network's tensors: they give the specifications, and the arrays of
            what ``names`` leaves out (random generator states, which belong to no weight).
    """

    def __init__(self, below: Tensors, names: Mapping[str, str], reference: Tensors) -> None:
        self._below = below
        self._names = dict(names)
        self._reference = reference

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Every tensor\'s specification by name, in layer order."""
        return self._reference.specs

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor, by its new name."""
        own = self._names.get(name)
        return self._reference.read(name) if own is None else self._below.read(own)


class FiniteTensors(Tensors):
    """Tensors that refuse to hand out an infinite number or none at all.

    Args:
        below: The tensors to watch over.
        owner: What the error message calls the file.
    """

    def __init__(self, below: Tensors, owner: str) -> None:
        self._below = below
        self._owner = owner

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Every tensor\'s specification by name, in layer order."""
        return self._below.specs

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor.

        Raises:
            UnreadableInputError: If it holds NaN or infinities.
        """
        array = self._below.read(name)
        if not is_finite(array):
            bad = int(array.size - np.count_nonzero(np.isfinite(array)))
            raise UnreadableInputError(
                f"{self._owner}: tensor {name} holds {bad:,} values that are NaN or infinite",
                hint="its training diverged; leave it out",
            )
        return array


def is_finite(array: NDArray[Any]) -> bool:
    """Whether no element is NaN or infinite; needs no memory beside the array."""
    if array.size == 0 or not np.issubdtype(array.dtype, np.floating):
        return True
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(array.min()) and np.isfinite(array.max()))


def same_weights(first: Tensors, other: Tensors) -> bool:
    """Whether two sets of tensors of the same names are equal, bit for bit.

    As for the weights digest, random generator states are left out. The small ones are looked at
    first, so that different models are told apart by reading little of them.
    """
    specs = [spec for spec in first.specs.values() if spec.role is not TensorRole.GENERATOR_STATE]
    return all(
        _bits(first.read(spec.name)) == _bits(other.read(spec.name))
        for spec in sorted(specs, key=lambda spec: spec.size)
    )


def _bits(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data


def conform(model: Model, reference: Model, found: Correspondence) -> Model:
    """The model as the reference network wires and names it, with its own card and path.

    Args:
        model: A network that corresponds to the reference.
        reference: Whose names, shapes and graph the result has.
        found: How the two correspond.

    Returns:
        A model that computes what ``model`` computes, layer by layer under the reference's names.
    """
    if all(name == own for name, own in found.tensors.items()) and model.tensors.specs.keys() == (
        reference.tensors.specs.keys()
    ):
        return model
    renamed = RenamedTensors(model.tensors, found.tensors, reference.tensors)
    return dataclasses.replace(
        reference, tensors=renamed, card=model.card, path=model.path, dropped=model.dropped
    )
