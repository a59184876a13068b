"""Dense layers."""

from __future__ import annotations

from toolkit.tensors import TensorRole
from toolkit_keras.activations import activated
from toolkit_keras.graph_builder import LayerBuilder, Value, as_keras, plain
from toolkit_keras.layer_config import LayerConfig
from toolkit_keras.layer_kind import Inputs, LayerKind, MaybeShape, Weight, bias_of, size_of


def _dense_weights(config: LayerConfig, inputs: Inputs) -> tuple[Weight, ...]:
    units = config.size("units")
    return Weight("kernel", (size_of(inputs[0], -1), units), TensorRole.KERNEL), *bias_of(config, units)


def _dense_shape(config: LayerConfig, inputs: Inputs) -> MaybeShape:
    return (*(inputs[0] or ())[:-1], config.size("units"))


def _build_dense(builder: LayerBuilder) -> Value:
    value = builder.ordered_input()
    bias = builder.optional("bias")
    if value.rank == 1:
        name = builder.add("Gemm", value.name, builder.tensor("kernel", value.order), *bias)
    else:
        value = as_keras(builder, value)
        name = builder.add("MatMul", value.name, builder.tensor("kernel"), part="product" if bias else "")
        if bias:
            name = builder.add("Add", name, *bias)
    return activated(builder, plain(name, builder.output_shape))


KINDS = (LayerKind("Dense", _build_dense, _dense_shape, _dense_weights),)
