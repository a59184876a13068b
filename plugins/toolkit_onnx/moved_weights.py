"""Weights that a file transposes or reshapes before it uses them: moved when they are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from toolkit.graph import Node, Permute, Rearrangement, Reshape
from toolkit.tensors import Tensors
from toolkit_onnx.precision import FLOATS, as_float32

_MOVES = ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


class RearrangedTensors(Tensors):
    """Tensors as the nodes use them: rearranged, and float32."""

    def __init__(self, below: Tensors, moved: Mapping[str, Rearrangement]) -> None:
        self._below = below
        self._moved = moved
        self.specs = {
            name: replace(
                spec,
                shape=moved[name].shape(spec.shape) if name in moved else spec.shape,
                dtype=as_float32(np.empty(0, spec.dtype)).dtype,
            )
            for name, spec in below.specs.items()
        }

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor."""
        array = as_float32(self._below.read(name))
        return np.ascontiguousarray(self._moved[name].apply(array)) if name in self._moved else array


def moved_weights(
    nodes: Sequence[Node], initializers: Mapping[str, TensorProto], output: str
) -> tuple[tuple[Node, ...], dict[str, Rearrangement]]:
    """The nodes without those that only move one weight, and how each such weight is moved.

    PyTorch writes a dense layer as MatMul with ``Transpose(weight)``, other exporters reshape a bias. A
    weight that another node uses, too, is left alone.
    """
    uses = Counter(name for node in nodes for name in node.inputs)
    moved: dict[str, Rearrangement] = {}
    stands_for: dict[str, str] = {}
    kept: list[Node] = []
    for node in nodes:
        node = replace(node, inputs=tuple(stands_for.get(name, name) for name in node.inputs))
        tensor = initializers.get(node.inputs[0]) if node.operator in _MOVES and node.inputs else None
        alone = tensor is not None and uses[tensor.name] == 1 and node.outputs[0] != output
        if tensor is None or not alone or tensor.data_type not in FLOATS:
            kept.append(node)
            continue
        before = moved.get(tensor.name, Rearrangement())
        step = _step(node, before.shape(tuple(tensor.dims)), initializers)
        if step is None:
            kept.append(node)
            continue
        moved[tensor.name] = Rearrangement((*before.steps, *step))
        stands_for[node.outputs[0]] = tensor.name
    return tuple(kept), {name: moves for name, moves in moved.items() if moves.steps}


def _step(
    node: Node, shape: tuple[int, ...], initializers: Mapping[str, TensorProto]
) -> tuple[Permute | Reshape, ...] | None:
    """What the node does to an array of the shape; None if that does not follow from the file."""
    given = initializers.get(node.inputs[1]) if len(node.inputs) > 1 else None
    if len(node.inputs) > 1 and given is None:
        return None
    numbers = None if given is None else numpy_helper.to_array(given).reshape(-1).tolist()
    match node.operator:
        case "Identity":
            return ()
        case "Cast":
            return () if node.attributes.get("to") in FLOATS else None
        case "Transpose":
            return (Permute(tuple(node.attributes.get("perm", reversed(range(len(shape)))))),)
        case "Flatten":
            axis = node.attributes.get("axis", 1)
            after: tuple[int, ...] = (int(np.prod(shape[:axis])), int(np.prod(shape[axis:])))
        case "Reshape":
            if node.attributes.get("allowzero") or numbers is None:
                return None
            target = [shape[place] if size == 0 else size for place, size in enumerate(numbers)]
            after = np.broadcast_to(np.int8(0), shape).reshape(target).shape
        case _:
            axes = node.attributes.get("axes", numbers)
            empty = np.broadcast_to(np.int8(0), shape)
            if node.operator == "Unsqueeze":
                after = np.expand_dims(empty, tuple(axes or ())).shape
            else:
                after = empty.squeeze(None if axes is None else tuple(axes)).shape
    return (Reshape(shape, after),)
