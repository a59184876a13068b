"""A network in the form of its graph, whatever file it comes from."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.graph import Binding, Graph
from toolkit.model.model import Model
from toolkit.tensors import Tensors


class InitializerTensors(Tensors):
    """The tensors that take part in inference, as the graph's initializers, under their own names."""

    def __init__(self, below: Tensors, graph: Graph) -> None:
        self._below = below
        self._rearrangements = {binding.tensor: binding.rearrangement for binding in graph.bindings}
        self.specs = {
            name: dataclasses.replace(spec, shape=self._rearrangements[name].shape(spec.shape))
            for name, spec in below.specs.items()
            if name in self._rearrangements
        }

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor and rearrange it."""
        return np.ascontiguousarray(self._rearrangements[name].apply(self._below.read(name)))


def in_graph_form(model: Model) -> Model:
    """The network with its tensors as the graph takes them.

    Networks from Keras and ONNX files correspond in this form if their graphs are equal, although
    their files store kernels in other orders of axes.
    """
    graph = model.describe_graph()
    tensors = InitializerTensors(model.tensors, graph)
    plain = dataclasses.replace(
        graph,
        nodes=tuple(
            dataclasses.replace(
                node, attributes={key: _single(value) for key, value in node.attributes.items()}
            )
            for node in graph.nodes
        ),
        bindings=tuple(Binding(binding.tensor) for binding in graph.bindings),
    )
    return dataclasses.replace(
        model,
        tensors=tensors,
        describe_graph=lambda: plain,
        dialect="graph",
        description={},
        layers=tuple(
            dataclasses.replace(
                layer,
                tensors=tuple(
                    tensors.specs[spec.name] for spec in layer.tensors if spec.name in tensors.specs
                ),
            )
            for layer in model.layers
        ),
    )


def _single(value: Any) -> Any:
    """An attribute in the precision that ONNX has for numbers."""
    return float(np.float32(value)) if isinstance(value, float) else value


def values_digest(model: Model) -> str:
    """A digest of the numbers in each tensor, whatever the order of its elements and the tensors' names.

    Tensors whose numbers are all equal, which a format may hold or leave out, do not count; empty
    without any others.
    """
    found = []
    for name, spec in model.tensors.specs.items():
        array = model.tensors.read(name).reshape(-1) if spec.is_float else np.empty(0)
        if array.size and np.ptp(array) != 0:
            found.append(hashlib.sha256(np.sort(array.astype("<f4")).tobytes()).digest())
    return hashlib.sha256(b"".join(sorted(found))).hexdigest() if found else ""
