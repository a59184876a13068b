"""How a model's tensors are wired, in a form that two models can be compared by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from toolkit.tensors.tensors import TensorSpec


@dataclass(frozen=True, slots=True)
class Layer:
    """One operation with its tensors.

    Attributes:
        name: Unique in its topology; a nested model's layers bear its name and ``/`` before theirs.
        kind: The framework's name of the operation, such as ``Conv2D``.
        attributes: Whatever changes the function at inference, as JSON values: strides, padding,
            activation, epsilon. Neither names nor initializers nor training settings.
        inputs: Names of the layers that feed it, in order.
        tensors: Its tensors, in the framework's order.
    """

    name: str
    kind: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    tensors: tuple[TensorSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Topology:
    """The wiring of a model.

    Attributes:
        dialect: ``keras`` or ``onnx``.
        description: The dialect's own description as JSON values: a Keras model's config
            ``{"class_name", "config", …}``; empty for ONNX, whose graph says it all.
        layers: In an order in which each stands behind those that feed it, inputs included.
        input_shape: Without the batch axis, as the file has it: (28, 28, 1) or (1, 28, 28).
        output_shape: Without the batch axis: (62,).
    """

    dialect: str
    description: Mapping[str, Any]
    layers: tuple[Layer, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]

    @property
    def classes(self) -> int:
        """Number of outputs."""
        return self.output_shape[-1]

    @property
    def parameters(self) -> int:
        """Number of float elements, running statistics included."""
        return sum(spec.size for layer in self.layers for spec in layer.tensors if spec.is_float)
