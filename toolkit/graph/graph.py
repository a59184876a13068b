"""How tensors are connected, with the operators of ONNX: the only intermediate representation."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import field
from itertools import chain, count
from typing import Any

from numpy.typing import NDArray

from toolkit.errors import ToolkitError
from toolkit.graph.rearrangement import AS_STORED, Rearrangement
from toolkit.records import dataclass

OPSET = 17
IR_VERSION = 8

QUANTISED_OPERATORS = frozenset(
    {
        *("ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger"),
        *("QLinearConv", "QLinearMatMul", "QuantizeLinear"),
    }
)
"""The operators of networks with integer weights or activations."""


def unused_name(wanted: str, taken: Container[str]) -> str:
    """A name, or if it is taken, the first of ``name_2``, ``name_3``, … that is not."""
    numbered = (f"{wanted}_{number}" for number in count(2))
    return next(name for name in chain((wanted,), numbered) if name not in taken)


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        operator: Name of the ONNX operator, or, in another domain, the kind of a layer that has no
            ONNX form.
        inputs: Names of values, constants and bound tensors; empty for an optional input left out.
        outputs: Names of the values it makes, each made once in a graph.
        attributes: Numbers, texts, arrays and tuples of these.
        name: Name in the file that the graph came from.
        layer: Name of the layer that it belongs to.
        domain: Domain of the operator; empty for ONNX's own.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    layer: str = ""
    domain: str = ""


@dataclass(frozen=True)
class Binding:
    """Ties an initializer to the model's tensor of that name, rearranged from its stored form."""

    tensor: str
    rearrangement: Rearrangement = AS_STORED


@dataclass(frozen=True)
class Graph:
    """A network without its weights. Batch normalisation is not folded; one initializer per tensor.

    Attributes:
        nodes: Each after those that make its inputs.
        constants: Initializers that are no weights, by name: shapes, bounds, quantised weights.
        bindings: One for each tensor that takes part in inference.
        input: Name of the one input, float32, (batch, *input_shape).
        output: Name of the one output, float32, (batch, *output_shape).
        input_shape: -1 for a length that is not fixed.
        opsets: Version of the operators by domain.
        ir_version: Of the ONNX format.
        refusal: Why the network cannot be run, if it has a layer without an ONNX form.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[Any]]
    bindings: tuple[Binding, ...]
    input: str
    output: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    opsets: Mapping[str, int] = field(default_factory=lambda: {"": OPSET})
    ir_version: int = IR_VERSION
    refusal: ToolkitError | None = None

    def require_runnable(self) -> None:
        """Raise UnsupportedError if a layer has no ONNX form; it names all of them and what is supported."""
        if self.refusal is not None:
            raise type(self.refusal)(self.refusal.message, hint=self.refusal.hint)
