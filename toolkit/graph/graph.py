"""The topology as ONNX: the one intermediate representation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from toolkit.tensors.tensors import Tensors


def as_stored(array: NDArray[Any]) -> NDArray[Any]:
    """The arrangement of a tensor that the graph takes as the file has it."""
    return array


@dataclass(frozen=True, slots=True)
class Binding:
    """Ties an initializer of the graph to a tensor of the model.

    Attributes:
        tensor: Name of the tensor; the initializer bears the same name.
        arrange: From the tensor as stored to the initializer: a pure, linear rearrangement of
            its elements (a convolution kernel's axes, a dense kernel's rows).
    """

    tensor: str
    arrange: Callable[[NDArray[Any]], NDArray[Any]] = as_stored


@dataclass(frozen=True, slots=True)
class Graph:
    """A model's graph without its weights: batch normalisation unfolded, one initializer a tensor.

    Attributes:
        proto: A model whose bound initializers are missing; constants of the graph's own are in it.
        bindings: One for each tensor that takes part in inference.
        input: Name of the one input, float32, (batch, *input_shape of the topology).
        output: Name of the one output, float32, (batch, classes).
        outputs_probabilities: Whether the last operation is a softmax; otherwise the output is logits.
    """

    proto: onnx.ModelProto
    bindings: tuple[Binding, ...]
    input: str
    output: str
    outputs_probabilities: bool

    def bind(self, tensors: Tensors) -> onnx.ModelProto:
        """The complete model: a copy of the graph with every tensor read, arranged and put in.

        Returns:
            A model of its own; tensors are float32 in it.
        """
        model = onnx.ModelProto()
        model.CopyFrom(self.proto)
        for binding in self.bindings:
            array = np.ascontiguousarray(binding.arrange(tensors.read(binding.tensor)), dtype=np.float32)
            model.graph.initializer.append(onnx.numpy_helper.from_array(array, binding.tensor))
        return model
