"""Networks in 16 or 64 bits, read as networks in float32."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, TensorProto, ValueInfoProto, numpy_helper

OTHER_FLOATS = (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
FLOATS = (TensorProto.FLOAT, *OTHER_FLOATS)


def read_as_float32(model: onnx.ModelProto) -> tuple[str, ...]:
    """Change inputs, outputs and operations of 16 or 64 bits to float32; tensors are cast when they are read.

    The network computes the same function; the results differ from those in its own precision by the
    rounding of the less precise of the two.

    Returns:
        A sentence for what is left out, if there is something.
    """
    graph = model.graph
    kinds = {tensor.data_type for tensor in graph.initializer}
    for value in (*graph.input, *graph.output):
        kinds.add(_declare(value))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name == "to" and node.op_type == "Cast" and attribute.i in OTHER_FLOATS:
                attribute.i = TensorProto.FLOAT
            elif attribute.type == AttributeProto.TENSOR and attribute.t.data_type in OTHER_FLOATS:
                kinds.add(attribute.t.data_type)
                attribute.t.CopyFrom(numpy_helper.from_array(as_float32(numpy_helper.to_array(attribute.t))))
    found = sorted(TensorProto.DataType.Name(kind).lower() for kind in kinds if kind in OTHER_FLOATS)
    return (f"the precision {' and '.join(found)}: read and computed as float32",) if found else ()


def as_float32(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """An array of another float type as float32; any other as it is."""
    if array.dtype == np.float32 or array.dtype.kind in "iub?OSU":
        return array
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def _declare(value: ValueInfoProto) -> int:
    """Declare a float value as float32; returns the type that it had."""
    kind = value.type.tensor_type
    had: int = kind.elem_type
    if had in OTHER_FLOATS:
        kind.elem_type = TensorProto.FLOAT
    return had
