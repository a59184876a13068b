"""A model without its weights, for the inference of shapes."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

_SMALL = 1 << 10  # elements; what shapes are computed from is shorter
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which large float tensors are declared as further inputs instead of held.

    ONNX' inference of shapes serializes everything that it is given.
    """
    bare = onnx.ModelProto()
    bare.ir_version = model.ir_version
    bare.opset_import.extend(model.opset_import)
    graph = bare.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    graph.value_info.extend(model.graph.value_info)
    declared = {value.name for value in graph.input}
    for tensor in model.graph.initializer:
        size = 1
        for axis in tensor.dims:
            size *= axis
        if tensor.data_type not in _FLOATS or size <= _SMALL:
            graph.initializer.append(tensor)
        elif tensor.name not in declared:
            value = helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            graph.input.append(value)
    return bare
